// A server for the tests of libxnord, in a process of its own: it can vanish as a real one does,
// and nng_close() of 1.5.2, which sometimes never returns while a peer hangs up, is not needed.
// What it does with an infer request depends on the name of the model:
//   echo      OK: the inputs come back as outputs, and top_k labels
//   busy      BUSY with retry_ms 20
//   late      the answer of echo, 200 ms later
//   silent    no answer
//   garbage   an answer that is no message
//   stranger  an answer to another request
#ifndef XNORD_FAKE_H
#define XNORD_FAKE_H

#include <stdint.h>

#include "xnord.h"

typedef struct fake fake;

typedef struct fake_options {
    uint64_t max_message; // 0: 1 MiB
    unsigned major;       // 0: 1
    bool deaf;            // does not answer hello
} fake_options;

// Listens on fake_url(), a socket in a new directory.
fake *fake_start(fake_options options);
// Kills it. Its socket file stays.
void fake_stop(fake *server);
const char *fake_url(void);
// Path of fake_url().
const char *fake_path(void);
// Requests of that operation received since the start.
unsigned fake_count(const fake *server, xnord_op op);

#endif
