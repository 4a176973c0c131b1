#include "health.h"

#include "clock.h"
#include "log.h"

#include <inttypes.h>

void health_init(struct health *health, uint64_t stall_ns) {
    *health = (struct health){.stall_ns = stall_ns, .alive = true};
}

void health_check(struct health *health, const struct workers *workers, uint64_t now_ns) {
    uint32_t index = 0;
    bool alive = !workers_stalled(workers, now_ns, health->stall_ns, &index);
    if (alive == health->alive) return;
    health->alive = alive;
    if (alive) {
        health->reason.text[0] = '\0';
        log_info("workers advance again", LOG_UINT("stall_ms", health->stall_ns / NS_PER_MS));
    } else {
        reason_set(&health->reason, XNOR_E_INTERNAL,
                   "worker %" PRIu32 " did not advance for %" PRIu64 " ms", index,
                   health->stall_ns / NS_PER_MS);
        log_error("worker stalled", LOG_UINT("worker", index),
                  LOG_UINT("stall_ms", health->stall_ns / NS_PER_MS));
    }
}

uint64_t health_period_ns(uint64_t watchdog_ns) {
    if (watchdog_ns == 0 || watchdog_ns / 2 > NS_PER_S) return NS_PER_S;
    return watchdog_ns / 2;
}
