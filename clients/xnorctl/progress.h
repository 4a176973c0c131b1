// A progress bar on stderr; silent when stderr is no terminal.
#ifndef XNORCTL_PROGRESS_H
#define XNORCTL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct progress {
    bool visible;
    const char *title;
    size_t done, total;
    uint64_t drawn_ns; // when the bar was last drawn
} progress;

progress progress_start(const char *title, size_t total);
void progress_step(progress *p);
// Removes the bar, so that something else may be printed; the next step draws it again.
void progress_clear(progress *p);

#endif
