// Internal to lib/exec.
#ifndef XNOR_EXEC_STEPS_RESIZE_H
#define XNOR_EXEC_STEPS_RESIZE_H

// Floats of a line that are looked at a time: twice this many channels are resized by reference.
enum { XNOR_RESIZE_FLOATS = 8192 };

#endif
