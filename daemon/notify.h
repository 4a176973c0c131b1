// Tells the service manager how we are: one datagram to $NOTIFY_SOCKET, nothing when it is not set.
// Loop thread.
#ifndef XNORD_NOTIFY_H
#define XNORD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

// Sends newline-separated assignments such as "READY=1". False when a manager is there but could
// not be told.
bool notify_send(const char *state);
// Watchdog period that the manager set for this process, or 0 for none.
uint64_t notify_watchdog_ns(void);

#endif
