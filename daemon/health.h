// Whether the daemon gets on with its work. Loop thread: that a check runs at all shows that the
// loop turns; the check itself looks at the workers.
#ifndef XNORD_HEALTH_H
#define XNORD_HEALTH_H

#include "reason.h"
#include "workers.h"

#include <stdbool.h>
#include <stdint.h>

struct health {
    uint64_t stall_ns;
    bool alive;
    struct reason reason; // why not
};

void health_init(struct health *health, uint64_t stall_ns);
// Updates `alive`; logs when it changes.
void health_check(struct health *health, const struct workers *workers, uint64_t now_ns);
// How often to check: twice per watchdog period, at least once a second.
uint64_t health_period_ns(uint64_t watchdog_ns);

#endif
