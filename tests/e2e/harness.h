// What the end-to-end tests of the daemon share: a real xnord process in a private directory, raw
// messages to it, and checks. One daemon at a time; the main thread unless noted.
#ifndef XNORD_E2E_HARNESS_H
#define XNORD_E2E_HARNESS_H

#include "proto.h"
#include "xnord.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MODEL "pointnet-modelnet10"
#define POINTS 1024

// ---- checks (any thread) ------------------------------------------------------------------------

// Counts one check; prints the message when it failed. Returns `good`.
bool check_(bool good, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define check(good, ...) check_(good, __FILE__, __LINE__, __VA_ARGS__)

void begin_test(const char *name);
// Prints "N passed, N failed"; the exit code of the program.
int finish_tests(void);

// ---- the daemon ---------------------------------------------------------------------------------

struct daemon {
    pid_t pid;
    char directory[64];
    char models[96]; // copy of $XNORD_TEST_MODELS/pointnet-modelnet10
    char url[96];    // ipc socket in `directory`
    char socket[96]; // its path
    char config[96]; // file
    char log[96];    // stderr of every daemon of this directory, one after the other
};

// Makes a directory with a copy of the test model. Does not start anything.
void daemon_prepare(struct daemon *daemon);
// Writes `yaml` as configuration and starts xnord, without waiting. environment: "NAME=value"
// strings that end with NULL, or NULL.
void daemon_launch(struct daemon *daemon, const char *yaml, const char *const *environment);
// daemon_prepare if needed, daemon_launch, and waits until it is ready.
void daemon_start(struct daemon *daemon, const char *yaml);
// Sends a signal, waits, and returns the exit code; 128 + signal when killed; -1 when it did not
// end within ten seconds (it is killed then).
int daemon_stop(struct daemon *daemon, int signal);
// Waits for a process that ends by itself.
int daemon_wait(struct daemon *daemon);
// Stops, and checks that the totals in the log say that each request was answered.
void daemon_end(struct daemon *daemon);
// daemon_end and daemon_remove.
void daemon_finish(struct daemon *daemon);
void daemon_remove(struct daemon *daemon);

void log_clear(const struct daemon *daemon);
bool log_has(const struct daemon *daemon, const char *text);
bool log_wait(const struct daemon *daemon, const char *text);
// Number after the last `key=` in the log; -1 without one.
long long log_number(const struct daemon *daemon, const char *key);

// Puts a file into the models directory by writing beside it and renaming.
void models_put(const struct daemon *daemon, const char *name, const void *data, size_t size);
// The same of $XNORD_TEST_SEGMENT/NAME.xnor, which make built. False, and a failed check: there is none.
bool models_put_made(const struct daemon *daemon, const char *name);
void models_remove(const struct daemon *daemon, const char *name);
// The bytes of the test model; the caller frees.
void *models_read(size_t *size);

// ---- requests -----------------------------------------------------------------------------------

void sleep_ms(unsigned ms);
// Points in a box; different seeds give different clouds.
void make_cloud(float *xyz, size_t points, unsigned seed);

xnord_client *client_open(const struct daemon *daemon);
// Names of the model's cloud input and first output, asked from the daemon once.
const char *input_name(void);
const char *output_name(void);

// An infer request with one FP32 input of `points` x 3, as the daemon's users send it.
void request_cloud(xnord_proto_request *request, const float *xyz, size_t points);
// Encodes into `buffer` and returns the size.
size_t request_encode(const xnord_proto_request *request, void *buffer, size_t capacity);

struct answer {
    int error; // nng error; 0: there is a reply
    xnord_status status;
    uint64_t id;
    uint64_t retry_ms;
    char detail[XNORD_PROTO_MAX_STRING + 1];
};

// Sends any bytes as one nng message and decodes the answer. Any thread.
struct answer exchange(const struct daemon *daemon, const void *message, size_t size);
// Sends a good cloud through libxnord and checks that it is answered: the daemon still serves.
void check_serves(const struct daemon *daemon, const char *after);
// The same, but the first tries may fail: the daemon has to recover first.
void check_serves_again(const struct daemon *daemon, const char *after);

#endif
