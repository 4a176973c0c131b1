// Float convolutions of pictures with channels last.
#ifndef XNOR_EXEC_STEPS_CONV2D_H
#define XNOR_EXEC_STEPS_CONV2D_H

// Floats of the windows that are unfolded at a time; larger windows are evaluated by reference.
enum { XNOR_CONV2D_BLOCK = 16384 };
// Taps of a depthwise window; those of more are unfolded.
enum { XNOR_DEPTHWISE_TAPS = 256 };

#endif
