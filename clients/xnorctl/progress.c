#include "clients/xnorctl/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 30
#define REDRAW_NS 50000000u // 20 times a second is smooth enough

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

progress progress_start(const char *title, size_t total) {
    return (progress){
        .visible = total > 1 && isatty(STDERR_FILENO), .title = title, .total = total};
}

void progress_step(progress *p) {
    p->done++;
    if (!p->visible) return;
    const uint64_t now = now_ns();
    if (p->done < p->total && now - p->drawn_ns < REDRAW_NS) return;
    p->drawn_ns = now;
    static const char full[] = "##############################";
    const int filled = (int)(p->done * BAR_WIDTH / p->total);
    fprintf(stderr, "\r%s [%.*s%*s] %zu/%zu", p->title, filled, full, BAR_WIDTH - filled, "",
            p->done, p->total);
    fflush(stderr);
}

void progress_clear(progress *p) {
    if (p->visible && p->drawn_ns) fputs("\r\033[K", stderr);
    p->drawn_ns = 0;
}
