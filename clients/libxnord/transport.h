// One socket to the daemon, and exchanges (a request and its reply) over it. The only part of the
// library that knows nng.
#ifndef XNORD_TRANSPORT_H
#define XNORD_TRANSPORT_H

#include "include/xnord.h"

typedef struct xnord_transport xnord_transport;
typedef struct xnord_exchange xnord_exchange;

// Starts connecting; `url` must live as long as the transport.
xnord_status xnord_transport_open(const char *url, uint32_t connect_timeout_ms,
                                  size_t max_reply_bytes, xnord_transport **out);
// All exchanges must have been freed. Waits a moment for replies that are on their way.
void xnord_transport_close(xnord_transport *transport);

// Waits until there is a connection, at most connect_timeout_ms. *connection counts connections: it
// changes when the daemon may be another one. XNORD_E_CONNECT as early as the reason is known.
xnord_status xnord_transport_await(xnord_transport *transport, uint64_t *connection);

// Called once per started exchange, from a thread of the transport, with no lock held. It may
// start the exchange again, but must not stop or free it.
typedef void (*xnord_exchange_done)(void *owner);

xnord_status xnord_exchange_create(xnord_transport *transport, xnord_exchange_done done,
                                   void *owner, xnord_exchange **out);
// Memory for a message of `size` bytes, to be filled before the start; NULL: out of memory. Drops
// the reply of the exchange before.
void *xnord_exchange_prepare(xnord_exchange *exchange, size_t size);
// Sends the prepared message and waits, for timeout_ms altogether, for the reply.
void xnord_exchange_start(xnord_exchange *exchange, uint32_t timeout_ms);
// Ends the wait with XNORD_E_CANCELLED if it still lasts. Any thread.
void xnord_exchange_cancel(xnord_exchange *exchange);
// After `done`: XNORD_OK and the reply, which lives until the next prepare, or the failure, which
// is also stored as the calling thread's last one.
xnord_status xnord_exchange_reply(const xnord_exchange *exchange, const void **message,
                                  size_t *size);
// Drops the reply early; it may be large.
void xnord_exchange_clear(xnord_exchange *exchange);
// Waits until `done` has returned.
void xnord_exchange_free(xnord_exchange *exchange);

// CLOCK_MONOTONIC.
uint64_t xnord_now_ns(void);

#endif
