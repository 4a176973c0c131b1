#include "reason.h"

#include <stdarg.h>
#include <stdio.h>

xnor_status reason_set(struct reason *why, xnor_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return status;
}
