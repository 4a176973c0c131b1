// A client: one transport, what the server said in its greeting, and the requests under way.
#ifndef XNORD_CLIENT_H
#define XNORD_CLIENT_H

#include <pthread.h>

#include "failure.h"
#include "proto.h"
#include "transport.h"

struct xnord_client {
    char *url;
    char *name;
    uint32_t timeout_ms;
    xnord_transport *transport;
    uint64_t next_id; // atomic

    // Serialises greetings: after a reconnect one thread greets and the others wait for the limits.
    pthread_mutex_t greeting_lock;
    uint64_t greeted;     // connection that was greeted last, 0: none; atomic
    uint64_t max_message; // atomic

    pthread_mutex_t lock; // guards the lists and the state of every request; a leaf
    pthread_cond_t changed;
    xnord_request *all;  // every request that exists
    xnord_request *idle; // those to be used again
    bool closing;
};

struct xnord_request {
    xnord_client *client;
    xnord_exchange *exchange;
    xnord_request *next_all;
    xnord_request *next_idle;
    uint32_t op;
    uint64_t id;
    uint64_t started_ns;
    xnord_infer_callback callback; // NULL: a thread waits
    void *user;

    bool running;  // until the callback has returned
    bool released; // goes to the idle list when it no longer runs
    xnord_status status;
};

// Waits for a connection and greets a server that is new. XNORD_E_CONNECT and what hello gives.
xnord_status xnord_client_prepare(xnord_client *client);
// Encodes and sends; the request runs until its callback has returned. out NULL: nobody keeps it.
// On failure the callback will not be called.
xnord_status xnord_client_start(xnord_client *client, xnord_proto_request *message,
                                uint32_t timeout_ms, xnord_infer_callback callback, void *user,
                                xnord_request **out);
// Waits for the end of a request without callback and opens the reply, which lives until the
// request is freed. A refusal is a failure here.
xnord_status xnord_client_finish(xnord_request *request, xnord_proto_reply *reply);
// Reads the envelope of a finished request's reply. A refusal is a failure here.
xnord_status xnord_client_open_reply(xnord_request *request, xnord_proto_reply *reply);
// XNORD_E_PROTOCOL with the decoder's text.
xnord_status xnord_client_fail_decode(const xnord_request *request, const xnord_proto_error *error);

#endif
