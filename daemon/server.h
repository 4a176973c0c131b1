// The daemon's pieces in one place. Everything lives on the loop thread unless its own header says
// otherwise. loop.c starts and stops it, serve.c moves requests, answers.c answers questions about
// it.
#ifndef XNORD_SERVER_H
#define XNORD_SERVER_H

#include "config.h"
#include "health.h"
#include "inbox.h"
#include "log.h"
#include "models.h"
#include "request.h"
#include "transport.h"
#include "workers.h"

#include <uv.h>

#define SERVER_VERSION XNOR_VERSION
#define SERVER_BOOT_ID_BYTES 33

// X(name, text on the wire)
#define SERVER_STATE_TABLE(X)                                                                      \
    X(LOADING, "LOADING") /* models have not been loaded for the first time */                     \
    X(READY, "READY")                                                                              \
    X(DRAINING, "DRAINING") /* told to stop: answers what it has, takes nothing new */

enum server_state {
#define SERVER_STATE_ENUM(name, text) SERVER_##name,
    SERVER_STATE_TABLE(SERVER_STATE_ENUM)
#undef SERVER_STATE_ENUM
};

struct server_counters {
    uint64_t malformed;                    // messages that are no request
    uint64_t questions;                    // control operations answered
    uint64_t statuses[XNORD_STATUS_COUNT]; // infer requests, by status
};

struct answers;

struct server {
    const struct config *config;
    uint32_t worker_count;
    uint32_t cores;
    const char *isa; // kernel set of every model
    enum server_state state;
    uint64_t started_ns;
    uint64_t since_ns; // last change of state
    char boot_id[SERVER_BOOT_ID_BYTES];

    uv_loop_t loop;
    uv_async_t wake;
    uv_signal_t signals[3];
    uv_timer_t tick;
    uv_timer_t deadline_timer; // runs while requests with deadlines are in flight
    uint32_t deadlines;        // how many
    uv_timer_t stop_timer;
    bool failed;         // the stop is a failure: the service manager shall start another process
    uint32_t stop_phase; // see loop.c
    uint32_t stop_steps; // firings of stop_timer in this phase

    struct inbox arrivals; // exchanges with a request
    struct inbox done;     // answered requests
    struct transport *transport;
    struct request_slots slots;
    struct workers *workers;
    struct session_budget budget;
    struct models *models;
    struct health health;
    struct answers *answers;

    xnord_proto_request decoded; // the request being looked at
    struct server_counters counters;
    struct log_limit malformed_limit;
};

// Serves until told to stop by SIGTERM or SIGINT. urls: where to listen.
// XNOR_OK: stopped as asked. Otherwise it could not start; the reason says why.
XNOR_NODISCARD xnor_status server_run(const struct config *config, const char *const *urls,
                                      uint32_t url_count, struct reason *why);
const char *server_state_text(enum server_state state);

// serve.c: takes everything out of both inboxes.
void serve_inboxes(struct server *server);

#endif
