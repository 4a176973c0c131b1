// The way of a request on the loop thread: taken from the inbox, decoded, admitted or answered at
// once; and back: accounted when a worker has answered it.
#include "admit.h"
#include "answers.h"
#include "clock.h"
#include "reply.h"
#include "server.h"

#include <inttypes.h>
#include <stdio.h>

#define RETRY_BUSY_MS 5
#define RETRY_LOADING_MS 200
#define DEADLINE_CHECK_MS 2 // how late a run may be before it is ended

static void count(struct server *server, struct model *model, xnord_status status) {
    server->counters.statuses[status]++;
    if (model != NULL) stats_count(&model->stats, status);
}

static void refuse(struct server *server, struct exchange *exchange, struct model *model,
                   xnord_status status, const char *detail) {
    uint64_t retry_ms = 0;
    if (status == XNORD_BUSY) retry_ms = RETRY_BUSY_MS;
    if (status == XNORD_NOT_READY) retry_ms = RETRY_LOADING_MS;
    count(server, model, status);
    reply_send(exchange, reply_retry(exchange, server->decoded.id, status, detail, retry_ms));
}

static void on_deadline_timer(uv_timer_t *timer) {
    struct server *server = timer->data;
    workers_end_late(server->workers, clock_now_ns());
}

static void watch_deadline(struct server *server) {
    if (server->deadlines++ == 0)
        uv_timer_start(&server->deadline_timer, on_deadline_timer, DEADLINE_CHECK_MS,
                       DEADLINE_CHECK_MS);
}

static void serve_infer(struct server *server, struct exchange *exchange) {
    struct model *model = NULL;
    struct reason why;
    if (server->state == SERVER_DRAINING) {
        refuse(server, exchange, NULL, XNORD_NOT_READY, "the daemon is stopping");
        return;
    }
    struct request *request = request_acquire(&server->slots, exchange->client);
    if (request == NULL) {
        bool full = server->slots.in_flight == server->slots.capacity;
        model = models_find(server->models, server->decoded.model);
        refuse(server, exchange, model, XNORD_BUSY,
               full ? "every request slot is taken"
                    : "this connection holds as many request slots as one may");
        return;
    }
    xnord_status status = admit_infer(server->models, &server->decoded, clock_now_ns(),
                                      exchange->received_ns, request, &model, &why);
    if (status != XNORD_OK) {
        request_abandon(&server->slots, request);
        refuse(server, exchange, model, status, why.text);
        return;
    }
    request->exchange = exchange;
    if (request->deadline_ns != UINT64_MAX) watch_deadline(server);
    workers_submit(server->workers, request);
}

static void serve_malformed(struct server *server, struct exchange *exchange,
                            const xnord_proto_error *error) {
    uint64_t suppressed = 0;
    server->counters.malformed++;
    if (log_limit_pass(&server->malformed_limit, clock_now_ns(), &suppressed))
        log_warning("request refused", LOG_STRING("status", xnord_status_name(error->status)),
                    LOG_STRING("detail", error->text), LOG_UINT("suppressed", suppressed));
    reply_send(exchange, reply_error(exchange, server->decoded.id, error->status, error->text));
}

static void serve_too_large(struct server *server, struct exchange *exchange, const void *data,
                            size_t size) {
    xnord_proto_error error;
    // For the id only.
    xnord_status ignored = xnord_proto_decode_request(data, size, &server->decoded, &error);
    (void)ignored;
    error.status = XNORD_TOO_LARGE;
    snprintf(error.text, sizeof error.text, "expected at most %" PRId64 " bytes, found %zu",
             server->config->max_message_bytes, size);
    serve_malformed(server, exchange, &error);
}

static void serve_arrival(struct server *server, struct exchange *exchange) {
    const void *data = NULL;
    size_t size = 0;
    xnord_proto_error error;
    exchange_request(exchange, &data, &size);
    if (size > (size_t)server->config->max_message_bytes) {
        serve_too_large(server, exchange, data, size);
    } else if (xnord_proto_decode_request(data, size, &server->decoded, &error) != XNORD_OK) {
        serve_malformed(server, exchange, &error);
    } else if (server->decoded.op == XNORD_OP_INFER) {
        serve_infer(server, exchange);
    } else {
        server->counters.questions++;
        reply_send(exchange, answers_make(server, exchange));
    }
}

static void account(struct server *server, struct request *request) {
    struct stats *stats = &request->model->stats;
    count(server, request->model, request->status);
    if (request->started_ns != 0)
        histogram_record(&stats->queue, request->started_ns - request->received_ns);
    if (request->computed_ns != 0)
        histogram_record(&stats->compute, request->computed_ns - request->started_ns);
    histogram_record(&stats->total, request->replied_ns - request->received_ns);
    if (request->deadline_ns != UINT64_MAX && --server->deadlines == 0)
        uv_timer_stop(&server->deadline_timer);
    request->model->requests--;
    models_version_unref(server->models, &request->version);
    request_release(&server->slots, request);
}

// Wake-ups coalesce, so everything is taken each time. Answered requests first: they free slots.
// The arrivals are taken before them all the same, because a client's next request must find the
// slot of its last one free.
void serve_inboxes(struct server *server) {
    struct inbox_item *arrived = inbox_take(&server->arrivals);
    for (struct inbox_item *item = inbox_take(&server->done), *next; item != NULL; item = next) {
        next = item->next;
        account(server, INBOX_OWNER(item, struct request, item));
    }
    for (struct inbox_item *item = arrived, *next; item != NULL; item = next) {
        next = item->next;
        serve_arrival(server, INBOX_OWNER(item, struct exchange, item));
    }
}
