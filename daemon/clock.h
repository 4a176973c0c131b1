// The one clock of the daemon: monotonic nanoseconds, the same clock clients stamp their data with.
// Any thread.
#ifndef XNORD_CLOCK_H
#define XNORD_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

uint64_t clock_now_ns(void);

#endif
