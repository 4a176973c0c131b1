// The life of the daemon on its event loop: start, signals, ticks, and a stop in four phases.
//
// DRAINING: new inference requests get NOT_READY, those in flight are finished. At most grace_ms.
// CANCELLING: runs are cut short, queued requests get NOT_READY. At most 1 s.
// FLUSHING: workers are joined, the last replies leave the socket. At most 0.2 s.
// CLOSING: transport first (no callback runs after that), then loader jobs. At most 1 s.
//
// Only then are the handles closed: uv_async_send on a closing handle is a use after free.
#include "answers.h"
#include "clock.h"
#include "kernels/kernels.h"
#include "notify.h"
#include "server.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SPARE_EXCHANGES 8 // beyond the admission slots: they say BUSY and answer questions
#define CANCEL_MS 1000
#define FLUSH_STEP_MS 10
#define FLUSH_STEPS 20
#define CLOSE_STEPS 100

enum stop_phase { RUNNING, DRAINING, CANCELLING, FLUSHING, CLOSING, CLOSED };

static void on_stop_timer(uv_timer_t *timer);

const char *server_state_text(enum server_state state) {
    static const char *const texts[] = {
#define TEXT(name, text) text,
        SERVER_STATE_TABLE(TEXT)
#undef TEXT
    };
    return texts[state];
}

static void set_state(struct server *server, enum server_state state) {
    if (server->state != state) server->since_ns = clock_now_ns();
    server->state = state;
}

static uint64_t refused(const struct server *server) {
    uint64_t sum = 0;
    for (uint32_t i = XNORD_OK + 1; i < XNORD_STATUS_COUNT; i++)
        sum += server->counters.statuses[i];
    return sum;
}

static void notify_status(const struct server *server, const char *first) {
    char text[256];
    snprintf(text, sizeof text,
             "%sSTATUS=%s: %" PRIu32 " models ready, %" PRIu32 " failed; %" PRIu64
             " served, %" PRIu64 " refused, %" PRIu64 " malformed; %" PRIu64 " clients",
             first, server_state_text(server->state), models_in_state(server->models, MODEL_READY),
             models_in_state(server->models, MODEL_FAILED), server->counters.statuses[XNORD_OK],
             refused(server), server->counters.malformed,
             transport_counters(server->transport).peers);
    if (!notify_send(text))
        log_warning("cannot notify the service manager", LOG_STRING("text", text));
}

// ---- stopping -----------------------------------------------------------------------------------

static void log_totals(const struct server *server) {
    struct transport_counters transport = transport_counters(server->transport);
    log_info("stopped", LOG_UINT("served", server->counters.statuses[XNORD_OK]),
             LOG_UINT("refused", refused(server)), LOG_UINT("admitted", server->slots.admitted),
             LOG_UINT("answered", server->slots.answered),
             LOG_UINT("malformed", server->counters.malformed),
             LOG_UINT("questions", server->counters.questions),
             LOG_UINT("received", transport.received), LOG_UINT("replied", transport.replied),
             LOG_UINT("undeliverable", transport.undeliverable),
             LOG_UINT("peers", transport.peers_accepted),
             LOG_UINT("peers_refused", transport.peers_refused));
}

static void enter_phase(struct server *server, enum stop_phase phase, uint64_t timeout_ms) {
    server->stop_phase = phase;
    server->stop_steps = 0;
    uv_timer_start(&server->stop_timer, on_stop_timer, timeout_ms, FLUSH_STEP_MS);
}

static void close_handles(struct server *server) {
    server->stop_phase = CLOSED;
    uv_close((uv_handle_t *)&server->wake, NULL);
    uv_close((uv_handle_t *)&server->tick, NULL);
    uv_close((uv_handle_t *)&server->deadline_timer, NULL);
    uv_close((uv_handle_t *)&server->stop_timer, NULL);
    for (size_t i = 0; i < sizeof server->signals / sizeof server->signals[0]; i++)
        uv_close((uv_handle_t *)&server->signals[i], NULL);
}

// Called whenever a request ended: with the last one the workers can go.
static void advance_stop(struct server *server) {
    if (server->stop_phase != DRAINING && server->stop_phase != CANCELLING) return;
    if (server->slots.in_flight > 0) return;
    workers_stop(server->workers);
    enter_phase(server, FLUSHING, FLUSH_STEP_MS);
}

static void cancel_work(struct server *server) {
    log_warning("cutting requests short", LOG_UINT("in_flight", server->slots.in_flight));
    enter_phase(server, CANCELLING, CANCEL_MS);
    workers_cancel(server->workers);
}

// Fires when a phase has taken its time, and every FLUSH_STEP_MS in the last two.
static void on_stop_timer(uv_timer_t *timer) {
    struct server *server = timer->data;
    bool closed = true;
    server->stop_steps++;
    switch ((enum stop_phase)server->stop_phase) {
    case DRAINING:
        cancel_work(server);
        break;
    case CANCELLING:
        log_error("a worker does not end", LOG_UINT("in_flight", server->slots.in_flight));
        _exit(1);
    case FLUSHING:
        if (transport_sending(server->transport) > 0 && server->stop_steps < FLUSH_STEPS) return;
        closed = transport_close(server->transport);
        log_totals(server);
        if (!closed) {
            log_warning("leaving connections that nng does not close",
                        LOG_UINT("peers", transport_counters(server->transport).peers));
            _exit(server->failed ? 1 : 0);
        }
        models_stop(server->models);
        enter_phase(server, CLOSING, 0);
        break;
    case CLOSING:
        if (!models_busy(server->models)) {
            close_handles(server);
        } else if (server->stop_steps >= CLOSE_STEPS) {
            log_warning("leaving a model that still loads", LOG_UINT("steps", server->stop_steps));
            _exit(0);
        }
        break;
    case RUNNING:
    case CLOSED:
        break;
    }
}

static void stop(struct server *server, int signal) {
    if (server->stop_phase == DRAINING) { // told twice
        cancel_work(server);
        return;
    }
    if (server->stop_phase != RUNNING) return;
    log_info("stopping", LOG_STRING("signal", strsignal(signal)),
             LOG_UINT("in_flight", server->slots.in_flight));
    set_state(server, SERVER_DRAINING);
    notify_status(server, "STOPPING=1\n");
    enter_phase(server, DRAINING, (uint64_t)server->config->grace_ms);
    advance_stop(server);
}

// ---- running ------------------------------------------------------------------------------------

static void on_wake(uv_async_t *async) {
    struct server *server = async->data;
    serve_inboxes(server);
    advance_stop(server);
}

// Any thread.
static void wake(void *context) {
    struct server *server = context;
    uv_async_send(&server->wake);
}

static void on_tick(uv_timer_t *timer) {
    struct server *server = timer->data;
    health_check(&server->health, server->workers, clock_now_ns());
    if (server->stop_phase != RUNNING) return;
    if (!transport_check(server->transport)) {
        log_error("nng does not remove closed connections any more, a restart is needed",
                  LOG_UINT("peers", transport_counters(server->transport).peers));
        server->failed = true;
        stop(server, SIGTERM);
        return;
    }
    if (!server->health.alive) return;
    // The time to start is limited; models that load and pass their self tests are progress.
    bool loading = server->state == SERVER_LOADING;
    notify_status(server, loading ? "EXTEND_TIMEOUT_USEC=10000000\nWATCHDOG=1\n" : "WATCHDOG=1\n");
}

static void on_models_settled(void *context) {
    struct server *server = context;
    if (server->state == SERVER_DRAINING) return;
    bool first = server->state == SERVER_LOADING;
    set_state(server, SERVER_READY);
    notify_status(server, "READY=1\n");
    log_info(first ? "ready" : "reloaded",
             LOG_UINT("models_ready", models_in_state(server->models, MODEL_READY)),
             LOG_UINT("models_failed", models_in_state(server->models, MODEL_FAILED)),
             LOG_UINT("up_ms", (clock_now_ns() - server->started_ns) / NS_PER_MS));
}

static void on_signal(uv_signal_t *handle, int signal) {
    struct server *server = handle->data;
    if (signal != SIGHUP) {
        stop(server, signal);
        return;
    }
    if (server->stop_phase != RUNNING) return; // READY=1 would never follow RELOADING=1
    log_info("reloading models", LOG_STRING("directory", server->config->models_directory));
    char text[64];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_ns() / NS_PER_US);
    notify_send(text);
    models_reload(server->models);
}

// ---- starting -----------------------------------------------------------------------------------

static uint32_t usable_cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return (uint32_t)CPU_COUNT(&set);
}

static void make_boot_id(char *text) {
    unsigned char bytes[(SERVER_BOOT_ID_BYTES - 1) / 2] = {0};
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes) {
        uint64_t now_ns = clock_now_ns(); // differs from start to start, which is what it is for
        memcpy(bytes, &now_ns, sizeof now_ns);
    }
    for (size_t i = 0; i < sizeof bytes; i++) sprintf(text + 2 * i, "%02x", bytes[i]);
}

static xnor_status open_loop(struct server *server, struct reason *why) {
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    int error = uv_loop_init(&server->loop);
    if (error != 0) return reason_set(why, XNOR_E_IO, "event loop: %s", uv_strerror(error));
    error = uv_async_init(&server->loop, &server->wake, on_wake);
    if (error != 0) return reason_set(why, XNOR_E_IO, "event loop: %s", uv_strerror(error));
    server->wake.data = server;
    uv_timer_init(&server->loop, &server->tick);
    uv_timer_init(&server->loop, &server->deadline_timer);
    server->deadline_timer.data = server;
    uv_timer_init(&server->loop, &server->stop_timer);
    server->tick.data = server;
    server->stop_timer.data = server;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        error = uv_signal_start(&server->signals[i], on_signal, signals[i]);
        if (error != 0) return reason_set(why, XNOR_E_IO, "signals: %s", uv_strerror(error));
    }
    return XNOR_OK;
}

static xnor_status open_models(struct server *server, struct reason *why) {
    const struct config *config = server->config;
    struct models_options options = {
        .loop = &server->loop,
        .directory = config->models_directory,
        .max_models = (uint32_t)config->max_models,
        .version = {.isa = config->isa[0] != '\0' ? config->isa : NULL,
                    .self_test = config->self_test,
                    .max_file_bytes = (uint64_t)config->max_file_bytes,
                    .max_batch = (uint32_t)config->max_batch,
                    .session_cache = (uint32_t)config->session_cache,
                    .max_session_bytes = (uint64_t)config->max_session_bytes,
                    .budget = &server->budget,
                    .workers = server->workers},
        .settled = on_models_settled,
        .settled_context = server,
    };
    xnor_status status = models_create(&options, &server->models);
    return status == XNOR_OK ? status : reason_set(why, status, "no memory for models");
}

static xnor_status open_transport(struct server *server, const char *const *urls,
                                  uint32_t url_count, struct reason *why) {
    const struct config *config = server->config;
    struct transport_options options = {
        .urls = urls,
        .url_count = url_count,
        .socket_mode = (int)config->socket_mode,
        // What is a little too long is read, so that it can be refused with words.
        .max_message_bytes = 2 * (size_t)config->max_message_bytes,
        .max_peers = (uint32_t)config->max_peers,
        .exchange_count = (uint32_t)config->queue_capacity + SPARE_EXCHANGES,
        .inbox = &server->arrivals,
        .wake = wake,
        .wake_context = server,
    };
    return transport_open(&options, &server->transport, why);
}

static xnor_status start(struct server *server, const char *const *urls, uint32_t url_count,
                         struct reason *why) {
    const struct config *config = server->config;
    struct workers_options options = {.count = server->worker_count,
                                      .pool_threads = (uint32_t)config->pool_threads,
                                      .max_batch = (uint32_t)config->max_batch,
                                      .done = &server->done,
                                      .wake = wake,
                                      .wake_context = server};
    xnor_status status = open_loop(server, why);
    if (status != XNOR_OK) return status;
    if (answers_create(&server->answers) != XNOR_OK ||
        request_slots_create(&server->slots, (uint32_t)config->queue_capacity,
                             (uint32_t)config->client_capacity) != XNOR_OK)
        return reason_set(why, XNOR_E_MEMORY, "no memory for %" PRId64 " request slots",
                          config->queue_capacity);
    status = workers_create(&options, &server->workers, why);
    if (status == XNOR_OK) status = open_models(server, why);
    // Listening comes before loading: meanwhile clients hear NOT_READY, and a second daemon fails
    // fast.
    if (status == XNOR_OK) status = open_transport(server, urls, url_count, why);
    if (status == XNOR_OK) status = workers_start(server->workers, why);
    if (status != XNOR_OK) return status;

    uint64_t period_ms = health_period_ns(notify_watchdog_ns()) / NS_PER_MS;
    uv_timer_start(&server->tick, on_tick, period_ms, period_ms);
    models_reload(server->models);
    for (uint32_t i = 0; i < url_count; i++)
        log_info("listening", LOG_STRING("url", urls[i]), LOG_UINT("workers", server->worker_count),
                 LOG_STRING("version", SERVER_VERSION));
    return XNOR_OK;
}

static void close_walked(uv_handle_t *handle, void *context) {
    (void)context;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

static void clean_up(struct server *server) {
    if (server->workers != NULL) workers_stop(server->workers);
    if (server->stop_phase != CLOSED) {
        if (server->transport != NULL && !transport_close(server->transport)) _exit(1);
        if (server->models != NULL) models_stop(server->models);
        uv_walk(&server->loop, close_walked, NULL);
    }
    uv_run(&server->loop, UV_RUN_DEFAULT); // closing handles, versions being freed
    uv_loop_close(&server->loop);
    transport_free(&server->transport);
    models_free(&server->models);
    workers_free(&server->workers); // after the sessions that use its pools
    request_slots_free(&server->slots);
    answers_free(&server->answers);
}

xnor_status server_run(const struct config *config, const char *const *urls, uint32_t url_count,
                       struct reason *why) {
    static struct server server; // one per process, and too large for small stacks
    server = (struct server){.config = config, .state = SERVER_LOADING};
    server.started_ns = server.since_ns = clock_now_ns();
    server.cores = usable_cpus();
    xnor_kernels kernels;
    xnor_status status = xnor_kernels_select(&kernels, config->isa[0] != '\0' ? config->isa : NULL);
    if (status != XNOR_OK) return reason_set(why, status, "%s", xnor_last_error());
    server.isa = kernels.isa;
    server.worker_count = config->worker_count > 0 ? (uint32_t)config->worker_count : server.cores;
    server.budget.max_bytes = (uint64_t)config->max_memory_bytes;
    server.malformed_limit.burst = (uint32_t)config->log_burst;
    inbox_init(&server.arrivals);
    inbox_init(&server.done);
    health_init(&server.health, (uint64_t)config->stall_ms * NS_PER_MS);
    make_boot_id(server.boot_id);
    signal(SIGPIPE, SIG_IGN); // nng blocks it in its own threads only

    status = start(&server, urls, url_count, why);
    if (status == XNOR_OK) uv_run(&server.loop, UV_RUN_DEFAULT);
    clean_up(&server);
    if (server.failed) return reason_set(why, XNOR_E_INTERNAL, "stopped for a restart");
    return status;
}
