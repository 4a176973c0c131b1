// Where the daemon listens, and whether anybody does.
#ifndef XNORD_ADDRESS_H
#define XNORD_ADDRESS_H

#include "include/xnord.h"

#define XNORD_URL_BYTES 256

// Turns a URL, a path or NULL (the default) into a URL of at most XNORD_URL_BYTES.
xnord_status xnord_address_resolve(const char *address, char *url);

// The socket's path in an ipc URL, NULL for any other URL. Points into `url`.
const char *xnord_address_path(const char *url);

// XNORD_E_CONNECT, with the reason, when a connection to the ipc URL cannot succeed now. Opens no
// connection: XNORD_OK promises little.
xnord_status xnord_address_check(const char *url);
// The same, by connecting: also finds a socket that nobody listens on. Waits at most timeout_ms for
// the server's first bytes; XNORD_OK also if they do not come.
xnord_status xnord_address_probe(const char *url, uint32_t timeout_ms);

#endif
