#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[512];

xnor_status xnor_fail(xnor_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    return status;
}

const char *xnor_last_error(void) {
    return last_error;
}

const char *xnor_status_text(xnor_status status) {
    static const char *const texts[] = {
#define TEXT(name, text) [XNOR_##name] = text,
        XNOR_STATUS_TABLE(TEXT)
#undef TEXT
    };
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}
