#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[512];
static _Thread_local uint64_t last_retry_ms;

static void store(uint64_t retry_ms, const char *format, va_list args) {
    vsnprintf(last_error, sizeof last_error, format, args);
    last_retry_ms = retry_ms;
}

xnord_status xnord_fail(xnord_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    store(0, format, args);
    va_end(args);
    return status;
}

xnord_status xnord_fail_retry(xnord_status status, uint64_t retry_ms, const char *format, ...) {
    va_list args;
    va_start(args, format);
    store(retry_ms, format, args);
    va_end(args);
    return status;
}

const char *xnord_last_error(void) {
    return last_error;
}

uint64_t xnord_last_retry_ms(void) {
    return last_retry_ms;
}

const char *xnord_version(void) {
    return XNORD_VERSION;
}
