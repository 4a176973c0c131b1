// The sockets clients talk to. This is the only file of the daemon that includes nng.
//
// A transport owns a fixed set of exchanges. Each receives one request, is handed to the loop
// through the inbox, is answered exactly once, and receives again. There are more exchanges than
// admission slots, so a free one can always say BUSY: nng hides undelivered messages where no
// scheduler sees them.
//
// transport_open, transport_check, transport_close, transport_free   loop thread
// exchange_request, exchange_reply_buffer, exchange_reply, exchange_drop
//     whoever holds the exchange: the loop from inbox_take on, a worker while it runs the request
// transport_counters   any thread
// The inbox and wake function are called from nng's threads.
#ifndef XNORD_TRANSPORT_H
#define XNORD_TRANSPORT_H

#include "inbox.h"
#include "reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transport;

// `item` is what the inbox carries; the rest is private to transport.c.
struct exchange {
    struct inbox_item item;
    struct transport *transport;
    uint64_t received_ns;
    uint32_t client; // number of the connection
};

struct transport_options {
    const char *const *urls;
    uint32_t url_count;
    int socket_mode;
    size_t max_message_bytes; // longer ones close the connection before they are read
    uint32_t max_peers;
    uint32_t exchange_count;
    struct inbox *inbox; // gets exchanges that hold a request
    void (*wake)(void *context);
    void *wake_context;
};

struct transport_counters {
    uint64_t received; // messages
    uint64_t replied;  // replies handed to nng
    uint64_t
        undeliverable; // replies the peer did not make room for, and exchanges dropped without one
    uint64_t peers;    // connected now
    uint64_t peers_accepted; // since start
    uint64_t peers_refused;  // over max_peers
};

// Listens on every URL and starts receiving. XNOR_E_IO: an address cannot be used; the reason names
// it and says if another daemon holds it.
XNOR_NODISCARD xnor_status transport_open(const struct transport_options *options,
                                          struct transport **out, struct reason *why);

// The received message: unaligned, valid until exchange_reply_buffer or exchange_reply.
void exchange_request(const struct exchange *exchange, const void **data, size_t *size);
// Turns the message into room for the reply; its content becomes undefined. NULL: out of memory,
// the exchange still holds the request's memory and a smaller reply may fit.
void *exchange_reply_buffer(struct exchange *exchange, size_t at_least, size_t *capacity);
// Sends the first `size` bytes of the reply buffer. The exchange is no longer the caller's. A peer
// that does not read its replies loses this one after half a second at most.
void exchange_reply(struct exchange *exchange, size_t size);
// Gives the exchange back without a reply, for the one case where no memory is left to say so.
void exchange_drop(struct exchange *exchange);

// Call every second or so: replaces listeners that have stopped accepting, see endpoint.h.
// False: nng does not remove closed connections any more, only a new process helps.
bool transport_check(struct transport *transport);
// Exchanges whose reply nng has not accepted yet.
uint32_t transport_sending(const struct transport *transport);
struct transport_counters transport_counters(const struct transport *transport);

// Stops all traffic; when it returns, no callback runs and none will. Exchanges must not be
// answered any more.
// False: nng hangs; callbacks of connections may still run, so leave the process with _exit.
bool transport_close(struct transport *transport);
// After transport_close was true. Frees and nulls.
void transport_free(struct transport **transport);

#endif
