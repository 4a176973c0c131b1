#include "transport.h"

#include "clock.h"
#include "endpoint.h"
#include "log.h"

#include <assert.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum exchange_state { EXCHANGE_RECEIVING, EXCHANGE_HELD, EXCHANGE_SENDING };

// `state` changes hands with the exchange: nng's callback -> inbox -> loop or worker -> nng.
struct slot {
    struct exchange base;
    nng_ctx context;
    nng_aio *aio;
    nng_msg *message; // while held
    nng_pipe pipe;    // that the request came from
    _Atomic enum exchange_state state;
};

#define MAX_ENDPOINTS 8
#define MAX_LISTENERS 32
#define OWN_PIPES (4 * MAX_ENDPOINTS)

// How long a reply may wait for its peer to read the replies before it; then it is dropped, because
// each waiting reply holds an exchange. Patience is short when a quarter of the exchanges wait;
// a peer that let a reply expire gets next to none until it reads again. So peers that never read
// cannot keep the others out. They are not hung up on: nng 1.5.2 loses its reaper thread for ever
// when a pipe is closed between the header and the body of a message.
#define SEND_MS 500
#define CROWDED_SEND_MS 50
#define CROWDED_SHARE 4
#define STUCK_SEND_MS 1
#define STUCK_PLACES 256
#define PARK_MS 10
#define CLOSE_MS 1000
#define OWN_PIPES_LEFT 6 // by greetings, before we believe that nothing removes them

// Listeners that were replaced stay until their last connection has gone. `id` is set before the
// listener starts and read by nng's threads; everything else is the loop's.
struct listener {
    atomic_int id; // 0: free
    atomic_uint pipes;
    atomic_uint greetings; // of our own that arrived since the last check
    bool retired;
    uint32_t endpoint;
    nng_listener handle;
};

struct transport {
    nng_socket socket;
    struct endpoint endpoints[MAX_ENDPOINTS];
    uint32_t endpoint_count;
    int socket_mode;
    struct listener listeners[MAX_LISTENERS];
    atomic_int own_pipes[OWN_PIPES]; // pipes of our own greetings, which are not peers; 0: free
    atomic_int stuck[STUCK_PLACES];  // pipes whose peer does not read; 0: none
    struct slot *slots;
    uint32_t slot_count;
    uint32_t context_count; // opened, for a clean-up half way
    struct inbox *inbox;
    void (*wake)(void *context);
    void *wake_context;
    uint32_t max_peers;
    bool open;
    atomic_bool closing;
    atomic_uint sending;
    atomic_uint_fast64_t received, replied, undeliverable, peers, peers_accepted, peers_refused;
};

static struct slot *slot_of(const struct exchange *exchange) {
    return (struct slot *)(void *)((char *)(uintptr_t)exchange - offsetof(struct slot, base));
}

static void receive(struct slot *slot) {
    atomic_store(&slot->state, EXCHANGE_RECEIVING);
    nng_aio_set_timeout(slot->aio, NNG_DURATION_INFINITE);
    nng_ctx_recv(slot->context, slot->aio);
}

static void on_received(struct slot *slot) {
    struct transport *transport = slot->base.transport;
    slot->message = nng_aio_get_msg(slot->aio);
    nng_aio_set_msg(slot->aio, NULL);
    slot->pipe = nng_msg_get_pipe(slot->message);
    slot->base.client = (uint32_t)nng_pipe_id(slot->pipe);
    slot->base.received_ns = clock_now_ns();
    atomic_fetch_add_explicit(&transport->received, 1, memory_order_relaxed);
    atomic_store(&slot->state, EXCHANGE_HELD);
    inbox_push(transport->inbox, &slot->base.item);
    transport->wake(transport->wake_context);
}

// Where it is noted that the peer of `pipe` does not read. Another peer may take the place.
static atomic_int *stuck_place(struct transport *transport, nng_pipe pipe) {
    return &transport->stuck[(unsigned)nng_pipe_id(pipe) % STUCK_PLACES];
}

static void on_sent(struct slot *slot, int error) {
    struct transport *transport = slot->base.transport;
    atomic_int *stuck = stuck_place(transport, slot->pipe);
    int id = nng_pipe_id(slot->pipe);
    if (error == NNG_ETIMEDOUT)
        atomic_store(stuck, id);
    else
        atomic_compare_exchange_strong(stuck, &id, 0);
    if (error != 0) { // a message that could not be sent is still ours
        nng_msg_free(nng_aio_get_msg(slot->aio));
        nng_aio_set_msg(slot->aio, NULL);
        atomic_fetch_add_explicit(&transport->undeliverable, 1, memory_order_relaxed);
    }
    atomic_fetch_sub(&transport->sending, 1);
    if (error != NNG_ECLOSED && error != NNG_ECANCELED) receive(slot);
}

// Runs on nng's threads: no parsing, no locks, no waiting.
static void on_aio(void *argument) {
    struct slot *slot = argument;
    int error = nng_aio_result(slot->aio);
    if (atomic_load(&slot->state) == EXCHANGE_SENDING) {
        on_sent(slot, error);
    } else if (error == 0) {
        on_received(slot);
    } else if (error != NNG_ECLOSED && error != NNG_ECANCELED &&
               !atomic_load(&slot->base.transport->closing)) {
        receive(slot);
    }
}

static struct listener *listener_of(struct transport *transport, nng_pipe pipe) {
    int id = nng_listener_id(nng_pipe_listener(pipe));
    for (size_t i = 0; i < MAX_LISTENERS; i++)
        if (atomic_load(&transport->listeners[i].id) == id) return &transport->listeners[i];
    return NULL;
}

// Ids of our own greetings from announcement to removal. One that finds no place counts as a peer.
static bool is_own(struct transport *transport, nng_pipe pipe, bool added) {
    uint64_t pid = 0;
    int id = nng_pipe_id(pipe);
    if (added &&
        (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid) != 0 || pid != (uint64_t)getpid()))
        return false;
    for (size_t i = 0; i < OWN_PIPES; i++) {
        int expected = added ? 0 : id;
        if (atomic_compare_exchange_strong(&transport->own_pipes[i], &expected, added ? id : 0))
            return true;
    }
    return false;
}

// Never below 0: a connection of the listener that had this place before may go late.
static void count_pipe(struct listener *listener, bool added) {
    unsigned pipes = atomic_load(&listener->pipes);
    if (added)
        atomic_fetch_add(&listener->pipes, 1);
    else
        while (pipes > 0 && !atomic_compare_exchange_weak(&listener->pipes, &pipes, pipes - 1)) {
        }
}

// nng's threads. A refused peer redials for ever, so refusing is only for a client that opens
// connections without end. Every pipe that was announced is also taken back, refused ones too.
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *argument) {
    struct transport *transport = argument;
    bool added = event == NNG_PIPE_EV_ADD_PRE;
    if (!added && event != NNG_PIPE_EV_REM_POST) return;
    struct listener *listener = listener_of(transport, pipe);
    if (listener != NULL) count_pipe(listener, added);
    if (is_own(transport, pipe, added)) {
        if (added && listener != NULL) atomic_fetch_add(&listener->greetings, 1);
        return;
    }
    uint64_t before = atomic_fetch_add(&transport->peers, added ? 1 : UINT64_MAX);
    if (!added) return;
    if (before < transport->max_peers) {
        atomic_fetch_add(&transport->peers_accepted, 1);
        return;
    }
    atomic_fetch_add(&transport->peers_refused, 1);
    nng_pipe_close(pipe);
}

// ---- listening ----------------------------------------------------------------------------------

static void close_listener(struct listener *listener) {
    nng_listener_close(listener->handle);
    listener->retired = false;
    atomic_store(&listener->id, 0);
}

// A free place. When there is none, the oldest retired listener goes, and its clients reconnect.
static struct listener *free_listener(struct transport *transport) {
    struct listener *victim = NULL;
    for (size_t i = 0; i < MAX_LISTENERS; i++) {
        struct listener *listener = &transport->listeners[i];
        int id = atomic_load(&listener->id);
        if (id == 0) return listener;
        if (listener->retired && (victim == NULL || id < atomic_load(&victim->id)))
            victim = listener;
    }
    if (victim != NULL) close_listener(victim);
    return victim;
}

static xnor_status listen_on(struct transport *transport, const char *url, uint32_t endpoint,
                             struct reason *why) {
    struct listener *listener = free_listener(transport);
    if (listener == NULL) return reason_set(why, XNOR_E_LIMIT, "%s: too many listeners", url);
    int error = nng_listener_create(&listener->handle, transport->socket, url);
    if (error == 0) {
        listener->endpoint = endpoint;
        atomic_store(&listener->pipes, 0);
        atomic_store(&listener->greetings, 0);
        atomic_store(&listener->id, nng_listener_id(listener->handle));
        if (endpoint != MAX_ENDPOINTS)
            error = nng_listener_setopt_int(listener->handle, NNG_OPT_IPC_PERMISSIONS,
                                            transport->socket_mode);
        if (error == 0) error = nng_listener_start(listener->handle, 0);
        if (error == 0) return XNOR_OK;
        close_listener(listener);
    }
    return reason_set(why, XNOR_E_IO, "%s: cannot listen: %s", url, nng_strerror(error));
}

// Binds a private name and puts it at the endpoint's path.
static xnor_status listen_at(struct transport *transport, uint32_t index, struct reason *why) {
    struct endpoint *endpoint = &transport->endpoints[index];
    char url[ENDPOINT_PATH_BYTES + 16];
    endpoint_private_url(endpoint, url, sizeof url);
    xnor_status status = listen_on(transport, url, index, why);
    return status == XNOR_OK ? endpoint_publish(endpoint, why) : status;
}

static xnor_status open_url(struct transport *transport, const char *url, struct reason *why) {
    if (strncmp(url, "ipc:", 4) != 0) return listen_on(transport, url, MAX_ENDPOINTS, why);
    xnor_status status = endpoint_claim(&transport->endpoints[transport->endpoint_count], url, why);
    return status == XNOR_OK ? listen_at(transport, transport->endpoint_count++, why) : status;
}

static void take_over(struct transport *transport, uint32_t index) {
    struct reason why;
    endpoint_hang_up(&transport->endpoints[index]);
    for (size_t i = 0; i < MAX_LISTENERS; i++) {
        struct listener *listener = &transport->listeners[i];
        if (atomic_load(&listener->id) != 0 && listener->endpoint == index)
            listener->retired = true;
    }
    if (listen_at(transport, index, &why) == XNOR_OK)
        log_warning("listener replaced", LOG_STRING("path", transport->endpoints[index].path));
    else
        log_error("cannot replace the listener", LOG_STRING("reason", why.text));
}

// Whether the last greeting arrived; forgets it.
static bool greeting_arrived(struct transport *transport, uint32_t index) {
    unsigned arrived = 0;
    for (size_t i = 0; i < MAX_LISTENERS; i++) {
        struct listener *listener = &transport->listeners[i];
        if (atomic_load(&listener->id) != 0 && listener->endpoint == index && !listener->retired)
            arrived += atomic_exchange(&listener->greetings, 0);
    }
    return arrived > 0;
}

// A greeting ends after one check, so its pipe is gone soon unless the reaper hangs, see SEND_MS.
static bool reaper_hangs(struct transport *transport) {
    uint32_t pipes = 0;
    for (size_t i = 0; i < OWN_PIPES; i++) pipes += atomic_load(&transport->own_pipes[i]) != 0;
    return pipes > OWN_PIPES_LEFT + 2 * transport->endpoint_count;
}

bool transport_check(struct transport *transport) {
    for (size_t i = 0; i < MAX_LISTENERS; i++) {
        struct listener *listener = &transport->listeners[i];
        if (listener->retired && atomic_load(&listener->pipes) == 0) close_listener(listener);
    }
    for (uint32_t i = 0; i < transport->endpoint_count; i++) {
        struct endpoint *endpoint = &transport->endpoints[i];
        bool lost = !greeting_arrived(transport, i) && endpoint->greeting_fd >= 0;
        if (lost || !endpoint_greet(endpoint)) take_over(transport, i);
    }
    return !reaper_hangs(transport);
}

static xnor_status open_socket(struct transport *transport, const struct transport_options *options,
                               struct reason *why) {
    int error = nng_rep0_open(&transport->socket);
    if (error != 0)
        return reason_set(why, XNOR_E_IO, "cannot open a socket: %s", nng_strerror(error));
    transport->open = true;
    // Before listening: the IPC transport allocates what a peer claims to send.
    error = nng_socket_set_size(transport->socket, NNG_OPT_RECVMAXSZ, options->max_message_bytes);
    for (int event = NNG_PIPE_EV_ADD_PRE; error == 0 && event <= NNG_PIPE_EV_REM_POST; event++)
        error = nng_pipe_notify(transport->socket, (nng_pipe_ev)event, on_pipe, transport);
    for (uint32_t i = 0; error == 0 && i < transport->slot_count; i++) {
        struct slot *slot = &transport->slots[i];
        error = nng_aio_alloc(&slot->aio, on_aio, slot);
        if (error == 0) error = nng_ctx_open(&slot->context, transport->socket);
        if (error == 0) transport->context_count++;
    }
    if (error != 0)
        return reason_set(why, XNOR_E_IO, "cannot set up the socket: %s", nng_strerror(error));
    for (uint32_t i = 0; i < options->url_count; i++) {
        xnor_status status = open_url(transport, options->urls[i], why);
        if (status != XNOR_OK) return status;
    }
    return XNOR_OK;
}

// ---- exchanges ----------------------------------------------------------------------------------

xnor_status transport_open(const struct transport_options *options, struct transport **out,
                           struct reason *why) {
    struct transport *transport = calloc(1, sizeof *transport);
    struct slot *slots = calloc(options->exchange_count, sizeof *slots);
    if (transport == NULL || slots == NULL) {
        free(transport);
        free(slots);
        return reason_set(why, XNOR_E_MEMORY, "no memory for %u exchanges",
                          options->exchange_count);
    }
    transport->slots = slots;
    transport->slot_count = options->exchange_count;
    transport->inbox = options->inbox;
    transport->wake = options->wake;
    transport->wake_context = options->wake_context;
    transport->max_peers = options->max_peers;
    transport->socket_mode = options->socket_mode;
    for (uint32_t i = 0; i < transport->slot_count; i++) slots[i].base.transport = transport;

    xnor_status status = open_socket(transport, options, why);
    if (status != XNOR_OK) {
        if (transport_close(transport)) transport_free(&transport);
        return status;
    }
    for (uint32_t i = 0; i < transport->slot_count; i++) receive(&slots[i]);
    *out = transport;
    return XNOR_OK;
}

void exchange_request(const struct exchange *exchange, const void **data, size_t *size) {
    const struct slot *slot = slot_of(exchange);
    assert(atomic_load(&slot->state) == EXCHANGE_HELD);
    *data = nng_msg_body(slot->message);
    *size = nng_msg_len(slot->message);
}

void *exchange_reply_buffer(struct exchange *exchange, size_t at_least, size_t *capacity) {
    struct slot *slot = slot_of(exchange);
    assert(atomic_load(&slot->state) == EXCHANGE_HELD);
    if (nng_msg_len(slot->message) < at_least) {
        nng_msg_clear(slot->message); // do not copy the request when the body moves
        if (nng_msg_realloc(slot->message, at_least) != 0) return NULL;
    }
    *capacity = nng_msg_len(slot->message);
    return nng_msg_body(slot->message);
}

void exchange_reply(struct exchange *exchange, size_t size) {
    struct slot *slot = slot_of(exchange);
    struct transport *transport = exchange->transport;
    enum exchange_state held = EXCHANGE_HELD;
    bool once = atomic_compare_exchange_strong(&slot->state, &held, EXCHANGE_SENDING);
    assert(once && "a request is answered exactly once");
    (void)once;
    nng_msg *message = slot->message;
    slot->message = NULL;
    nng_msg_chop(message, nng_msg_len(message) - size);
    bool crowded =
        atomic_fetch_add(&transport->sending, 1) >= transport->slot_count / CROWDED_SHARE;
    bool stuck = atomic_load(stuck_place(transport, slot->pipe)) == nng_pipe_id(slot->pipe);
    nng_aio_set_timeout(slot->aio, stuck ? STUCK_SEND_MS : crowded ? CROWDED_SEND_MS : SEND_MS);
    atomic_fetch_add_explicit(&transport->replied, 1, memory_order_relaxed);
    nng_aio_set_msg(slot->aio, message);
    nng_ctx_send(slot->context, slot->aio);
}

void exchange_drop(struct exchange *exchange) {
    struct slot *slot = slot_of(exchange);
    assert(atomic_load(&slot->state) == EXCHANGE_HELD);
    nng_msg_free(slot->message);
    slot->message = NULL;
    atomic_fetch_add_explicit(&exchange->transport->undeliverable, 1, memory_order_relaxed);
    receive(slot);
}

uint32_t transport_sending(const struct transport *transport) {
    return atomic_load(&transport->sending);
}

struct transport_counters transport_counters(const struct transport *transport) {
    return (struct transport_counters){
        .received = atomic_load(&transport->received),
        .replied = atomic_load(&transport->replied),
        .undeliverable = atomic_load(&transport->undeliverable),
        .peers = atomic_load(&transport->peers),
        .peers_accepted = atomic_load(&transport->peers_accepted),
        .peers_refused = atomic_load(&transport->peers_refused),
    };
}

// Contexts first, so that no new operation can start; then wait for every callback; then,
// when messages that nng was reading have come to rest (see SEND_MS), the socket.
//
// A reaper that hangs never lets nng_close return, so that is waited for on another thread.
static void *close_socket(void *argument) {
    struct transport *transport = argument;
    nng_close(transport->socket);
    return NULL;
}

static bool close_in_time(struct transport *transport) {
    pthread_t thread;
    struct timespec until;
    if (pthread_create(&thread, NULL, close_socket, transport) != 0) return false;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_MS / 1000;
    return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

bool transport_close(struct transport *transport) {
    bool closed = true;
    atomic_store(&transport->closing, true);
    for (uint32_t i = 0; i < transport->context_count; i++)
        nng_ctx_close(transport->slots[i].context);
    for (uint32_t i = 0; i < transport->slot_count; i++)
        if (transport->slots[i].aio != NULL) nng_aio_stop(transport->slots[i].aio);
    nng_msleep(PARK_MS);
    if (transport->open) closed = close_in_time(transport);
    transport->open = false;
    transport->context_count = 0;
    for (uint32_t i = 0; i < transport->endpoint_count; i++)
        endpoint_release(&transport->endpoints[i]);
    transport->endpoint_count = 0;
    return closed;
}

void transport_free(struct transport **transport) {
    if (*transport == NULL) return;
    for (uint32_t i = 0; i < (*transport)->slot_count; i++) {
        struct slot *slot = &(*transport)->slots[i];
        if (slot->message != NULL) nng_msg_free(slot->message);
        nng_aio_free(slot->aio); // NULL is fine
    }
    free((*transport)->slots);
    free(*transport);
    *transport = NULL;
}
