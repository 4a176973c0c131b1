// Compiled models against onnxruntime in float32, one thread each, in alternating rounds of one
// run.
//   models NODE_MODULES CLOUD {NAME MODEL.xnor DIMS MODEL.onnx DIMS}...
// Our input is a real cloud or a picture, because the work depends on how many codes are distinct; the
// peer's does not. Prints: bench NAME xnor_ms=... ort_ms=... ratio=..., the ratio of the best runs, which
// is the one to read on a busy machine, and the quartiles of the rounds' ratios.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/engine.h"

enum { ROUNDS = 15, PEER_RUNS = 10, MAX_RUNS = 100000 };
// A peer that needs longer for one run does fewer.
static const double LONG_MS = 100;

typedef struct peer {
    pid_t pid;
    FILE *to, *from;
} peer;

static int start_peer(const char *modules, const char *model, const char *dims, peer *out) {
    int in[2], back[2];
    if (pipe(in) != 0 || pipe(back) != 0) return -1;
    out->pid = fork();
    if (out->pid == 0) {
        dup2(in[0], 0);
        dup2(back[1], 1);
        close(in[1]);
        close(back[0]);
        execlp("node", "node", "bench/ort.mjs", modules, model, dims, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(back[1]);
    out->to = fdopen(in[1], "w");
    out->from = fdopen(back[0], "r");
    char line[128];
    return out->to && out->from && fgets(line, sizeof line, out->from) ? 0 : -1;
}

static void stop_peer(peer *p) {
    fclose(p->to);
    fclose(p->from);
    waitpid(p->pid, NULL, 0);
}

static int run_peer(peer *p, int runs, double *ms) {
    fprintf(p->to, "%d\n", runs);
    fflush(p->to);
    for (int i = 0; i < runs; i++)
        if (fscanf(p->from, "%lf", &ms[i]) != 1) return -1;
    return 0;
}

static int compare(const char *name, engine *e, peer *p) {
    static double ours[MAX_RUNS];
    double theirs[ROUNDS * PEER_RUNS], ratios[ROUNDS], round_peer[PEER_RUNS];
    size_t count = 0, peer_count = 0;
    for (int i = 0; i < 20; i++)
        if (engine_run(e, &ours[0]) != XNOR_OK) return -1;
    if (run_peer(p, 1, round_peer) != 0) return -1;
    const int runs = round_peer[0] > LONG_MS ? 1 : PEER_RUNS;
    const int rounds = round_peer[0] > 10 * LONG_MS ? ROUNDS / 3 : ROUNDS;
    for (int round = 0; round < rounds; round++) {
        if (run_peer(p, runs, round_peer) != 0) return -1;
        memcpy(&theirs[peer_count], round_peer, (size_t)runs * sizeof *theirs);
        peer_count += (size_t)runs;
        double peer_ms = bench_quantile(round_peer, (size_t)runs, 0.5);
        // As long as the peer took, so that both see the same neighbours.
        double until = bench_now_ms() + peer_ms * runs;
        size_t first = count;
        while ((bench_now_ms() < until || count == first) && count < MAX_RUNS)
            if (engine_run(e, &ours[count++]) != XNOR_OK) return -1;
        ratios[round] = peer_ms / bench_quantile(&ours[first], count - first, 0.5);
    }
    double ours_ms = bench_quantile(ours, count, 0.5);
    double theirs_ms = bench_quantile(theirs, peer_count, 0.5);
    uint64_t distinct = 0, rows = 0;
    xnor_session_distinct(e->session, &distinct, &rows);
    printf("bench %s xnor_ms=%.4f ort_ms=%.4f ratio=%.1f ratio_of_best=%.1f "
           "ratio_quartiles=%.1f..%.1f "
           "arena_bytes=%llu file_bytes=%llu distinct=%llu/%llu isa=%s\n",
           name, ours_ms, theirs_ms, theirs_ms / ours_ms, theirs[0] / ours[0],
           bench_quantile(ratios, (size_t)rounds, 0.25),
           bench_quantile(ratios, (size_t)rounds, 0.75),
           (unsigned long long)xnor_plan_arena_bytes(e->plan),
           (unsigned long long)xnor_model_file_bytes(e->model), (unsigned long long)distinct,
           (unsigned long long)rows, xnor_model_isa(e->model));
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 8 || (argc - 3) % 5 != 0) {
        fprintf(stderr,
                "usage: models NODE_MODULES CLOUD {NAME MODEL.xnor DIMS MODEL.onnx DIMS}...\n");
        return 2;
    }
    const char *const clouds[2] = {argv[2], NULL};
    for (int i = 3; i < argc; i += 5) {
        engine e;
        peer p = {0};
        if (engine_start(&e, argv[i + 1], engine_shape(argv[i + 2]), clouds, NULL) != XNOR_OK) {
            fprintf(stderr, "%s\n", xnor_last_error());
            return 1;
        }
        if (start_peer(argv[1], argv[i + 3], argv[i + 4], &p) != 0 ||
            compare(argv[i], &e, &p) != 0) {
            fprintf(stderr, "%s: the run failed: %s\n", argv[i], xnor_last_error());
            return 1;
        }
        stop_peer(&p);
        engine_stop(&e);
    }
    return 0;
}
