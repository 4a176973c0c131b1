// Sizes of what steps of convolutions work with. Internal to lib/exec.
#ifndef XNOR_EXEC_STEPS_CONV_H
#define XNOR_EXEC_STEPS_CONV_H

enum {
    CONV_PIXELS = 64,      // unfolded at a time, at most
    CONV_ROW_WORDS = 2048, // of all windows unfolded at a time: 16 KB, and as much for their masks
    CONV_SUMS = 8192,      // of all pixels at a time
    CONV_PREPARED_PIXELS = 128, // at a time, where nothing is unfolded here
    CONV_THR_WIDTH = 48,        // of maps from which on pixels at the border are few
};

#endif
