// Internal to lib/exec.
#ifndef XNOR_EXEC_STEPS_RESIZE_H
#define XNOR_EXEC_STEPS_RESIZE_H

#include <stdint.h>

// What a pixel of a line, or a line of the picture, is mixed of.
typedef struct xnor_resize_source_pair {
    int32_t first, second;
    float share; // of the second
} xnor_resize_source_pair;

// Floats of a line that are looked at a time: twice this many channels are resized by reference.
enum { XNOR_RESIZE_FLOATS = 8192 };

#endif
