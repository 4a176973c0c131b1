#include "client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "infer.h"

#define DEFAULT_CONNECT_TIMEOUT_MS 1000
#define DEFAULT_TIMEOUT_MS 5000
#define DEFAULT_MAX_REPLY_BYTES ((size_t)64 << 20)
// Every server takes a greeting of this size.
#define GREETING_BYTES 4096

// ---- requests -----------------------------------------------------------------------------------

static void make_idle(xnord_request *request) {
    xnord_exchange_clear(request->exchange);
    request->next_idle = request->client->idle;
    request->client->idle = request;
}

static void on_done(void *owner) {
    xnord_request *request = owner;
    xnord_client *client = request->client;
    if (request->callback) xnord_infer_complete(request);
    pthread_mutex_lock(&client->lock);
    request->running = false;
    if (request->released) make_idle(request);
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

static xnord_status create_request(xnord_client *client, xnord_request **out) {
    xnord_request *request = calloc(1, sizeof *request);
    if (!request) return xnord_fail(XNORD_E_MEMORY, "no memory for a request");
    request->client = client;
    xnord_status status =
        xnord_exchange_create(client->transport, on_done, request, &request->exchange);
    if (status != XNORD_OK) {
        free(request);
        return status;
    }
    pthread_mutex_lock(&client->lock);
    request->next_all = client->all;
    client->all = request;
    pthread_mutex_unlock(&client->lock);
    *out = request;
    return XNORD_OK;
}

static xnord_status take_request(xnord_client *client, xnord_request **out) {
    pthread_mutex_lock(&client->lock);
    bool closing = client->closing;
    xnord_request *request = closing ? NULL : client->idle;
    if (request) client->idle = request->next_idle;
    pthread_mutex_unlock(&client->lock);
    if (closing) return xnord_fail(XNORD_E_CANCELLED, "the client is being closed");
    if (!request) XNORD_TRY(create_request(client, &request));
    *out = request;
    return XNORD_OK;
}

static xnord_status encode(xnord_request *request, xnord_proto_request *message) {
    size_t size = xnord_proto_encode_request(message, NULL, 0);
    if (size == 0) {
        return xnord_fail(XNORD_E_ARGUMENT,
                          "%s: a text is longer than %d bytes or not UTF-8, or a shape, a count or "
                          "a size of the tensors is out of range",
                          xnord_op_name(message->op), XNORD_PROTO_MAX_STRING);
    }
    bool greeting = message->op == XNORD_OP_HELLO;
    uint64_t limit = greeting ? GREETING_BYTES : xnord_client_max_message(request->client);
    if (size > limit) {
        return xnord_fail(XNORD_TOO_LARGE,
                          "the request takes %zu bytes, the server accepts %" PRIu64, size, limit);
    }
    void *buffer = xnord_exchange_prepare(request->exchange, size);
    if (!buffer) return xnord_fail(XNORD_E_MEMORY, "no memory for a request of %zu bytes", size);
    xnord_proto_encode_request(message, buffer, size);
    return XNORD_OK;
}

xnord_status xnord_client_start(xnord_client *client, xnord_proto_request *message,
                                uint32_t timeout_ms, xnord_infer_callback callback, void *user,
                                xnord_request **out) {
    xnord_request *request = NULL;
    XNORD_TRY(take_request(client, &request));
    request->op = message->op;
    request->id = message->id = __atomic_add_fetch(&client->next_id, 1, __ATOMIC_RELAXED);
    request->callback = callback;
    request->user = user;
    xnord_status status = encode(request, message);
    if (status != XNORD_OK) {
        xnord_request_free(&request);
        return status;
    }
    // All of this before the start: the callback may run at once and free the request.
    if (out) *out = request;
    request->started_ns = xnord_now_ns();
    pthread_mutex_lock(&client->lock);
    request->running = true;
    request->released = out == NULL;
    pthread_mutex_unlock(&client->lock);
    xnord_exchange_start(request->exchange, timeout_ms);
    return XNORD_OK;
}

xnord_status xnord_client_fail_decode(const xnord_request *request,
                                      const xnord_proto_error *error) {
    return xnord_fail(XNORD_E_PROTOCOL, "%s: malformed reply to %s: %s", request->client->url,
                      xnord_op_name(request->op), error->text);
}

xnord_status xnord_client_open_reply(xnord_request *request, xnord_proto_reply *reply) {
    const void *message;
    size_t size;
    xnord_proto_error error;
    XNORD_TRY(xnord_exchange_reply(request->exchange, &message, &size));
    if (xnord_proto_decode_reply(message, size, reply, &error) != XNORD_OK) {
        return xnord_client_fail_decode(request, &error);
    }
    if (reply->id != request->id) {
        return xnord_fail(XNORD_E_PROTOCOL, "%s: reply to request %" PRIu64 ", expected %" PRIu64,
                          request->client->url, reply->id, request->id);
    }
    if (reply->status == XNORD_OK) return XNORD_OK;
    bool has_detail = reply->detail.size > 0;
    return xnord_fail_retry(reply->status, reply->retry_ms, "%s: %s%s%.*s",
                            xnord_op_name(request->op), xnord_status_text(reply->status),
                            has_detail ? ": " : "", (int)reply->detail.size,
                            has_detail ? reply->detail.data : "");
}

xnord_status xnord_client_finish(xnord_request *request, xnord_proto_reply *reply) {
    xnord_client *client = request->client;
    pthread_mutex_lock(&client->lock);
    while (request->running) pthread_cond_wait(&client->changed, &client->lock);
    pthread_mutex_unlock(&client->lock);
    return xnord_client_open_reply(request, reply);
}

xnord_status xnord_request_wait(xnord_request *request) {
    xnord_client *client = request->client;
    pthread_mutex_lock(&client->lock);
    while (request->running) pthread_cond_wait(&client->changed, &client->lock);
    xnord_status status = request->status;
    pthread_mutex_unlock(&client->lock);
    return status;
}

void xnord_request_cancel(xnord_request *request) {
    xnord_exchange_cancel(request->exchange);
}

void xnord_request_free(xnord_request **request) {
    if (!*request) return;
    xnord_client *client = (*request)->client;
    pthread_mutex_lock(&client->lock);
    (*request)->released = true;
    if (!(*request)->running) make_idle(*request);
    pthread_mutex_unlock(&client->lock);
    *request = NULL;
}

// ---- greeting -----------------------------------------------------------------------------------

static xnord_status read_hello(xnord_client *client, xnord_request *request) {
    xnord_proto_reply reply;
    xnord_proto_hello hello;
    xnord_proto_error error;
    XNORD_TRY(xnord_client_finish(request, &reply));
    if (xnord_proto_decode_hello_reply(&reply, &hello, &error) != XNORD_OK) {
        return xnord_client_fail_decode(request, &error);
    }
    if (hello.proto[0] > XNORD_PROTO_VERSION || hello.proto[1] < XNORD_PROTO_MAJOR * 256) {
        return xnord_fail(XNORD_E_PROTOCOL, "%s speaks versions %u.%u to %u.%u, we speak %u.%u",
                          client->url, hello.proto[0] / 256, hello.proto[0] % 256,
                          hello.proto[1] / 256, hello.proto[1] % 256, XNORD_PROTO_MAJOR,
                          XNORD_PROTO_MINOR);
    }
    __atomic_store_n(&client->max_message, hello.limits.max_message, __ATOMIC_RELAXED);
    return XNORD_OK;
}

static xnord_status greet(xnord_client *client) {
    xnord_proto_request message = {
        .op = XNORD_OP_HELLO,
        .client = xnord_proto_str_from(client->name),
        .proto = {XNORD_PROTO_MAJOR * 256, XNORD_PROTO_VERSION},
        .proto_count = 2,
    };
    xnord_request *request;
    XNORD_TRY(xnord_client_start(client, &message, client->timeout_ms, NULL, NULL, &request));
    xnord_status status = read_hello(client, request);
    xnord_request_free(&request);
    // An answer in another major version is a refusal that we cannot read in ours.
    return status == XNORD_UNSUPPORTED ? XNORD_E_PROTOCOL : status;
}

xnord_status xnord_client_prepare(xnord_client *client) {
    uint64_t connection;
    XNORD_TRY(xnord_transport_await(client->transport, &connection));
    if (__atomic_load_n(&client->greeted, __ATOMIC_ACQUIRE) == connection) return XNORD_OK;
    pthread_mutex_lock(&client->greeting_lock);
    xnord_status status = XNORD_OK;
    if (client->greeted != connection) status = greet(client);
    if (status == XNORD_OK) __atomic_store_n(&client->greeted, connection, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&client->greeting_lock);
    return status;
}

// ---- client -------------------------------------------------------------------------------------

static xnord_status create_client(const char *url, const xnord_options *options,
                                  xnord_client **out) {
    xnord_client *client = calloc(1, sizeof *client);
    if (!client) return xnord_fail(XNORD_E_MEMORY, "no memory for a client");
    client->url = strdup(url);
    client->name = strdup(options->client_name ? options->client_name : "libxnord");
    client->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    pthread_mutex_init(&client->greeting_lock, NULL);
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->changed, NULL);
    *out = client;
    if (!client->url || !client->name) return xnord_fail(XNORD_E_MEMORY, "no memory for a client");
    return XNORD_OK;
}

static xnord_status connect_client(xnord_client *client, const xnord_options *options) {
    uint32_t connect_ms =
        options->connect_timeout_ms ? options->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS;
    size_t max_reply =
        options->max_reply_bytes ? options->max_reply_bytes : DEFAULT_MAX_REPLY_BYTES;
    XNORD_TRY(xnord_transport_open(client->url, connect_ms, max_reply, &client->transport));
    return xnord_client_prepare(client);
}

xnord_status xnord_client_open(const char *url, const xnord_options *options, xnord_client **out) {
    static const xnord_options defaults;
    char resolved[XNORD_URL_BYTES];
    XNORD_TRY(xnord_address_resolve(url, resolved));
    if (!options) options = &defaults;
    xnord_client *client = NULL;
    xnord_status status = create_client(resolved, options, &client);
    if (status == XNORD_OK) status = connect_client(client, options);
    if (status != XNORD_OK) {
        xnord_client_close(&client);
        return status;
    }
    *out = client;
    return XNORD_OK;
}

static xnord_request *find_running(xnord_client *client) {
    for (xnord_request *request = client->all; request; request = request->next_all) {
        if (request->running) return request;
    }
    return NULL;
}

// A callback that runs now may start one more request, but none may start after it: so nothing can
// run once we have seen that nothing does.
static void stop_requests(xnord_client *client) {
    pthread_mutex_lock(&client->lock);
    client->closing = true;
    for (xnord_request *request; (request = find_running(client));) {
        xnord_exchange_cancel(request->exchange);
        while (request->running) pthread_cond_wait(&client->changed, &client->lock);
    }
    pthread_mutex_unlock(&client->lock);
}

static void free_requests(xnord_client *client) {
    while (client->all) {
        xnord_request *request = client->all;
        client->all = request->next_all;
        xnord_exchange_free(request->exchange);
        free(request);
    }
}

void xnord_client_close(xnord_client **client_pointer) {
    xnord_client *client = *client_pointer;
    if (!client) return;
    stop_requests(client);
    free_requests(client);
    if (client->transport) xnord_transport_close(client->transport);
    pthread_cond_destroy(&client->changed);
    pthread_mutex_destroy(&client->lock);
    pthread_mutex_destroy(&client->greeting_lock);
    free(client->name);
    free(client->url);
    free(client);
    *client_pointer = NULL;
}

const char *xnord_client_url(const xnord_client *client) {
    return client->url;
}

uint64_t xnord_client_max_message(const xnord_client *client) {
    return __atomic_load_n(&client->max_message, __ATOMIC_RELAXED);
}
