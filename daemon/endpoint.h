// An ipc:// address that the daemon owns, around the transport's own handling of it.
//
// nng up to 1.5.2 stops accepting for ever when a client hangs up before it was greeted
// (fixed later), and asks a socket whether it is stale by doing just that. So
//   - a lock file beside the socket says who owns the address; nothing connects to find out
//   - every listener binds a private name that is then renamed to the public one, so a new listener
//     can take over while the connections of the old one go on
//   - the daemon greets itself now and then; if that does not arrive, a new listener takes over
// Loop thread.
#ifndef XNORD_ENDPOINT_H
#define XNORD_ENDPOINT_H

#include "reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

// Room that private names and the lock file need beside the path.
#define ENDPOINT_SUFFIX_BYTES 6
#define ENDPOINT_PATH_BYTES (sizeof((struct sockaddr_un *)0)->sun_path)

struct endpoint {
    char path[ENDPOINT_PATH_BYTES];
    uint32_t generation; // of listeners
    int lock_fd;
    int greeting_fd; // connection of the last greeting, -1: none
};

// Takes the address of "ipc:///path". XNOR_E_IO: another process holds it.
XNOR_NODISCARD xnor_status endpoint_claim(struct endpoint *endpoint, const char *url,
                                          struct reason *why);
// URL that the next listener must bind.
void endpoint_private_url(struct endpoint *endpoint, char *url, size_t size);
// Puts the listener that was bound last at the public path.
XNOR_NODISCARD xnor_status endpoint_publish(struct endpoint *endpoint, struct reason *why);
// Connects to the public path and greets, after hanging up on the last greeting. Whether the
// listener took it shows in the transport: it announces a connection from this process. False:
// nobody listens.
bool endpoint_greet(struct endpoint *endpoint);
void endpoint_hang_up(struct endpoint *endpoint);
// Removes the socket and gives the address up.
void endpoint_release(struct endpoint *endpoint);

#endif
