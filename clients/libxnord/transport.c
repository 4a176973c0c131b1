#include "transport.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "address.h"
#include "failure.h"

// A healthy daemon accepts within a millisecond. After this long we ask the kernel why it did not.
#define PROBE_AFTER_MS 20
#define PROBE_EVERY_MS 200
// nng tries again at least this often; a dialer of 1.5.2 whose peer dies during the handshake gives
// up for ever instead, so after this many fruitless probes of a server that is there we start
// another one.
#define RECONNECT_MS 200
#define PROBES_BEFORE_REDIAL 3
// A request that waits this long for its connection looks whether there still is one.
#define SEND_SLICE_MS 100
// nng 1.5.2 loses its only reaper thread for ever, and with it every nng_close, when a connection is
// closed while a message is being read: the rest of the message is asked for after reading has been
// forbidden, nobody learns that this failed, and the reaper waits. So before we close we wait this
// long for the replies to requests that were given up.
#define QUIET_MS 250
// A reply may still come at that moment, or the reaper may be lost already: then we do not wait for
// nng_close longer than this.
#define CLOSE_MS 2000
// The request id that nng puts before a message counts against NNG_OPT_RECVMAXSZ.
#define HEADER_BYTES 64

struct xnord_transport {
    nng_socket socket;
    const char *url;
    uint32_t connect_timeout_ms;
    pthread_mutex_t
        lock; // guards what follows; held by nng's pipe callback, never across nng calls
    pthread_cond_t changed;
    uint32_t pipes;
    uint64_t connections;
    uint64_t redialed; // connections + 1 when we last did
    uint64_t losses;   // times that no connection was left
    // Since the last loss: requests that nng took, and replies that an exchange got.
    uint64_t sent;
    uint64_t answered;
};

typedef enum phase { IDLE, SENDING, RECEIVING } phase;

struct xnord_exchange {
    xnord_transport *transport;
    nng_ctx context;
    nng_aio *aio;
    xnord_exchange_done done;
    void *owner;
    nng_msg *message;   // the prepared request, then the reply
    int failure;        // nng's code, 0: the reply is in `message`
    bool was_connected; // when it failed
    bool unsent;        // it failed before it left
    uint64_t deadline_ns;
    uint64_t losses; // when it was sent
    // Held while an operation is started or aborted, so that a cancel between sending and receiving
    // is not lost. Never held when `done` is called.
    pthread_mutex_t lock;
    phase phase;
    bool cancelled;
};

uint64_t xnord_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// ---- connection ---------------------------------------------------------------------------------

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *argument) {
    (void)pipe;
    xnord_transport *t = argument;
    pthread_mutex_lock(&t->lock);
    if (event == NNG_PIPE_EV_ADD_POST) {
        t->pipes++;
        t->connections++;
    } else if (t->pipes > 0 && --t->pipes == 0) {
        t->losses++;
        t->sent = t->answered = 0; // what was under way is lost
    }
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static bool is_connected(xnord_transport *t) {
    pthread_mutex_lock(&t->lock);
    bool connected = t->pipes > 0;
    pthread_mutex_unlock(&t->lock);
    return connected;
}

static struct timespec to_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

// Waits for a change until `until_ns`. The lock is held.
static bool wait_connected(xnord_transport *t, uint64_t until_ns) {
    struct timespec until = to_timespec(until_ns);
    while (t->pipes == 0) {
        if (pthread_cond_timedwait(&t->changed, &t->lock, &until) != 0) break;
    }
    return t->pipes > 0;
}

// At most once per connection: a dialer that only was slow gives a second connection, which does no
// harm, but there shall not be ever more.
static void redial(xnord_transport *t) {
    pthread_mutex_lock(&t->lock);
    bool wanted = t->pipes == 0 && t->redialed != t->connections + 1;
    t->redialed = t->connections + 1;
    pthread_mutex_unlock(&t->lock);
    // Failing to start it leaves us where we were.
    if (wanted) (void)nng_dial(t->socket, t->url, NULL, NNG_FLAG_NONBLOCK);
}

xnord_status xnord_transport_await(xnord_transport *t, uint64_t *connection) {
    uint64_t now = xnord_now_ns();
    uint64_t deadline = now + t->connect_timeout_ms * UINT64_C(1000000);
    uint64_t probe = now + PROBE_AFTER_MS * UINT64_C(1000000);
    for (unsigned probes = 1;; probes++) {
        pthread_mutex_lock(&t->lock);
        bool connected = wait_connected(t, probe < deadline ? probe : deadline);
        *connection = t->connections;
        pthread_mutex_unlock(&t->lock);
        if (connected) return XNORD_OK;
        now = xnord_now_ns();
        uint64_t left_ms = deadline > now ? (deadline - now) / 1000000u : 0;
        XNORD_TRY(xnord_address_probe(t->url, (uint32_t)left_ms));
        if (xnord_now_ns() >= deadline) break;
        if (probes == PROBES_BEFORE_REDIAL) redial(t);
        probe += PROBE_EVERY_MS * UINT64_C(1000000);
    }
    return xnord_fail(XNORD_E_CONNECT, "%s: no connection within %u ms", t->url,
                      t->connect_timeout_ms);
}

static xnord_status fail_nng(const xnord_transport *t, int failure) {
    xnord_status status = failure == NNG_ENOMEM ? XNORD_E_MEMORY : XNORD_E_TRANSPORT;
    return xnord_fail(status, "%s: %s", t->url, nng_strerror(failure));
}

static int set_options(nng_socket socket, size_t max_reply_bytes) {
    int failure = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, max_reply_bytes + HEADER_BYTES);
    // By default nng sends a request again for ever, also one whose size made the peer hang up.
    if (!failure) {
        failure = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    }
    if (!failure) failure = nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, 20);
    if (!failure) failure = nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, RECONNECT_MS);
    return failure;
}

static int start(xnord_transport *t, size_t max_reply_bytes) {
    int failure = set_options(t->socket, max_reply_bytes);
    if (!failure) failure = nng_pipe_notify(t->socket, NNG_PIPE_EV_ADD_POST, on_pipe, t);
    if (!failure) failure = nng_pipe_notify(t->socket, NNG_PIPE_EV_REM_POST, on_pipe, t);
    if (!failure) failure = nng_dial(t->socket, t->url, NULL, NNG_FLAG_NONBLOCK);
    return failure;
}

static void init_monotonic(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

xnord_status xnord_transport_open(const char *url, uint32_t connect_timeout_ms,
                                  size_t max_reply_bytes, xnord_transport **out) {
    XNORD_TRY(xnord_address_check(url));
    xnord_transport *t = calloc(1, sizeof *t);
    if (!t) return xnord_fail(XNORD_E_MEMORY, "no memory for a connection");
    t->url = url;
    t->connect_timeout_ms = connect_timeout_ms;
    int failure = nng_req0_open(&t->socket);
    if (failure) {
        xnord_status status = fail_nng(t, failure);
        free(t);
        return status;
    }
    pthread_mutex_init(&t->lock, NULL);
    init_monotonic(&t->changed);
    failure = start(t, max_reply_bytes);
    if (failure) {
        xnord_status status = fail_nng(t, failure);
        xnord_transport_close(t);
        return status;
    }
    *out = t;
    return XNORD_OK;
}

// Messages that came on the connections of the socket, also those that nobody waits for any more. 0
// if nng was built without statistics.
static uint64_t count_received(const xnord_transport *t) {
    nng_stat *root;
    uint64_t count = 0;
    if (nng_stats_get(&root) != 0) return 0;
    for (nng_stat *s = nng_stat_child(root); s; s = nng_stat_next(s)) {
        if (strcmp(nng_stat_name(s), "pipe") != 0) continue;
        nng_stat *socket = nng_stat_find(s, "socket");
        nng_stat *messages = nng_stat_find(s, "rx_msgs");
        if (!socket || !messages) continue;
        if (nng_stat_value(socket) == (uint64_t)nng_socket_id(t->socket)) {
            count += nng_stat_value(messages);
        }
    }
    nng_stats_free(root);
    return count;
}

// Whether nothing more can come.
static bool is_quiet(xnord_transport *t) {
    pthread_mutex_lock(&t->lock);
    bool quiet = t->pipes == 0 || t->answered >= t->sent;
    uint64_t sent = t->sent;
    pthread_mutex_unlock(&t->lock);
    return quiet || count_received(t) >= sent;
}

static void *close_and_free(void *argument) {
    xnord_transport *t = argument;
    nng_close(t->socket); // waits for on_pipe
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
    return NULL;
}

void xnord_transport_close(xnord_transport *t) {
    uint64_t end = xnord_now_ns() + QUIET_MS * UINT64_C(1000000);
    while (!is_quiet(t) && xnord_now_ns() < end) nng_msleep(1);
    pthread_t thread;
    if (pthread_create(&thread, NULL, close_and_free, t) != 0) {
        close_and_free(t);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_MS / 1000;
    if (pthread_timedjoin_np(thread, NULL, &until) != 0) pthread_detach(thread);
}

// ---- exchanges ----------------------------------------------------------------------------------

static void set_timeout(xnord_exchange *e, nng_duration most_ms) {
    uint64_t now = xnord_now_ns();
    uint64_t left_ns = e->deadline_ns > now ? e->deadline_ns - now : 0;
    uint64_t left_ms = left_ns / 1000000u + 1;
    nng_aio_set_timeout(e->aio, left_ms < (uint64_t)most_ms ? (nng_duration)left_ms : most_ms);
}

// The lock is held.
static void send_message(xnord_exchange *e) {
    e->phase = SENDING;
    set_timeout(e, SEND_SLICE_MS);
    nng_aio_set_msg(e->aio, e->message);
    nng_ctx_send(e->context, e->aio);
}

static void finish(xnord_exchange *e, int failure) {
    e->failure = failure;
    if (failure) e->was_connected = is_connected(e->transport);
    e->done(e->owner);
}

// nng announces the loss of a connection a little after it has failed the requests on it. One that
// comes in between finds no connection, although we believed there was one: nothing has been sent
// yet.
static bool may_wait_on(xnord_exchange *e, int failure) {
    bool waiting = failure == NNG_ETIMEDOUT && !e->cancelled;
    return waiting && xnord_now_ns() < e->deadline_ns && is_connected(e->transport);
}

static void count_sent(xnord_exchange *e) {
    xnord_transport *t = e->transport;
    pthread_mutex_lock(&t->lock);
    e->losses = t->losses;
    t->sent++;
    pthread_mutex_unlock(&t->lock);
}

static void count_answered(xnord_exchange *e) {
    xnord_transport *t = e->transport;
    pthread_mutex_lock(&t->lock);
    if (e->losses == t->losses) t->answered++;
    pthread_mutex_unlock(&t->lock);
}

static void on_sent(xnord_exchange *e, int failure) {
    pthread_mutex_lock(&e->lock);
    bool again = may_wait_on(e, failure);
    if (!failure) {
        e->message = NULL; // it is nng's now
        count_sent(e);
    }
    if (!failure && e->cancelled) failure = NNG_ECANCELED;
    e->phase = failure ? IDLE : RECEIVING;
    if (again) {
        send_message(e);
    } else if (!failure) {
        set_timeout(e, INT32_MAX);
        nng_ctx_recv(e->context, e->aio);
    } else {
        e->unsent = true;
    }
    pthread_mutex_unlock(&e->lock);
    if (failure && !again) finish(e, failure);
}

static void on_received(xnord_exchange *e, int failure) {
    pthread_mutex_lock(&e->lock);
    e->message = failure ? NULL : nng_aio_get_msg(e->aio);
    if (!failure) count_answered(e);
    e->phase = IDLE;
    pthread_mutex_unlock(&e->lock);
    finish(e, failure);
}

static void on_aio(void *argument) {
    xnord_exchange *e = argument;
    pthread_mutex_lock(&e->lock);
    phase ended = e->phase;
    pthread_mutex_unlock(&e->lock);
    int failure = nng_aio_result(e->aio);
    if (ended == SENDING) on_sent(e, failure);
    if (ended == RECEIVING) on_received(e, failure);
}

xnord_status xnord_exchange_create(xnord_transport *t, xnord_exchange_done done, void *owner,
                                   xnord_exchange **out) {
    xnord_exchange *e = calloc(1, sizeof *e);
    if (!e) return xnord_fail(XNORD_E_MEMORY, "no memory for a request");
    e->transport = t;
    e->done = done;
    e->owner = owner;
    int failure = nng_ctx_open(&e->context, t->socket);
    if (!failure) {
        failure = nng_aio_alloc(&e->aio, on_aio, e);
        if (failure) nng_ctx_close(e->context);
    }
    if (failure) {
        free(e);
        return fail_nng(t, failure);
    }
    pthread_mutex_init(&e->lock, NULL);
    *out = e;
    return XNORD_OK;
}

void *xnord_exchange_prepare(xnord_exchange *e, size_t size) {
    xnord_exchange_clear(e);
    if (nng_msg_alloc(&e->message, size) != 0) {
        e->message = NULL;
        return NULL;
    }
    return nng_msg_body(e->message);
}

void xnord_exchange_start(xnord_exchange *e, uint32_t timeout_ms) {
    pthread_mutex_lock(&e->lock);
    e->cancelled = false;
    e->unsent = false;
    e->deadline_ns = xnord_now_ns() + timeout_ms * UINT64_C(1000000);
    send_message(e);
    pthread_mutex_unlock(&e->lock);
}

void xnord_exchange_cancel(xnord_exchange *e) {
    pthread_mutex_lock(&e->lock);
    e->cancelled = true;
    if (e->phase != IDLE) nng_aio_abort(e->aio, NNG_ECANCELED);
    pthread_mutex_unlock(&e->lock);
}

xnord_status xnord_exchange_reply(const xnord_exchange *e, const void **message, size_t *size) {
    const char *url = e->transport->url;
    switch (e->failure) {
    case 0:
        *message = nng_msg_body(e->message);
        *size = nng_msg_len(e->message);
        return XNORD_OK;
    case NNG_ETIMEDOUT:
        if (e->was_connected) return xnord_fail(XNORD_E_TIMEOUT, "%s: no answer in time", url);
        if (e->unsent) return xnord_fail(XNORD_E_CONNECT, "%s: the server went away", url);
        return xnord_fail(XNORD_E_DISCONNECTED, "%s: the server went away", url);
    case NNG_ECANCELED:
        return xnord_fail(XNORD_E_CANCELLED, "cancelled by the caller");
    case NNG_ECONNRESET:
    case NNG_ECONNSHUT:
    case NNG_ECLOSED:
        return xnord_fail(XNORD_E_DISCONNECTED,
                          "%s: the connection was lost before the answer came, or the answer was "
                          "larger than max_reply_bytes",
                          url);
    default:
        return fail_nng(e->transport, e->failure);
    }
}

void xnord_exchange_clear(xnord_exchange *e) {
    if (e->message) nng_msg_free(e->message);
    e->message = NULL;
}

void xnord_exchange_free(xnord_exchange *e) {
    nng_ctx_close(e->context);
    nng_aio_stop(e->aio);
    nng_aio_free(e->aio);
    xnord_exchange_clear(e);
    pthread_mutex_destroy(&e->lock);
    free(e);
}
