// Compiled models against onnxruntime in float32, one thread each, in alternating rounds of one
// run.
//   models NODE_MODULES CLOUD {NAME MODEL.xnor DIMS MODEL.onnx DIMS}...
// Our input is a real cloud, because the work depends on how many codes are distinct; the peer's
// does not. Prints: bench NAME xnor_ms=... ort_ms=... ratio=... and the quartiles of the rounds'
// ratios.
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/clock.h"
#include "clients/xnorctl/cloud.h"
#include "include/xnor.h"

enum { ROUNDS = 15, PEER_RUNS = 10, MAX_RUNS = 100000 };

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
        execlp("node", "node", "bench/ort.mjs", modules, model, "points", dims, (char *)NULL);
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

static int run_peer(peer *p, double *ms) {
    fprintf(p->to, "%d\n", PEER_RUNS);
    fflush(p->to);
    for (int i = 0; i < PEER_RUNS; i++)
        if (fscanf(p->from, "%lf", &ms[i]) != 1) return -1;
    return 0;
}

typedef struct engine {
    xnor_model *model;
    xnor_plan *plan;
    xnor_session *session;
    xnor_tensor input, output;
} engine;

static xnor_shape parse_shape(const char *text) {
    xnor_shape shape = {0};
    for (char *end; *text && shape.rank < XNOR_MAX_RANK; text = *end ? end + 1 : end)
        shape.dims[shape.rank++] = strtoll(text, &end, 10);
    return shape;
}

// The points of `cloud_path`, resampled, centred and scaled as the task layer does: [1, points, 3].
static xnor_status fill_input(const char *cloud_path, xnor_tensor *input) {
    const cloud_options options = {.sample_points = CLOUD_DEFAULT_SAMPLE_POINTS};
    const xnor_description d = {.points = input->shape.dims[1],
                                .normalise = XNOR_NORMALISE_UNIT_SPHERE};
    cloud points;
    xnor_status status = cloud_read(cloud_path, &options, &points);
    if (status != XNOR_OK) return status;
    const xnor_cloud view = {points.xyz, points.count, 12};
    status = xnor_cloud_prepare(&d, &view, NULL, input->data);
    cloud_free(&points);
    return status;
}

static xnor_status start_engine(const char *path, const char *dims, const char *cloud_path,
                                engine *e) {
    xnor_shape shape = parse_shape(dims);
    xnor_status status = xnor_model_open(path, NULL, &e->model);
    if (status == XNOR_OK) status = xnor_plan_create(e->model, &shape, &e->plan);
    if (status == XNOR_OK) status = xnor_session_create(e->plan, NULL, &e->session);
    if (status != XNOR_OK) return status;
    size_t in_bytes = 0, out_bytes = 0;
    e->input = (xnor_tensor){XNOR_F32, shape, NULL};
    e->output = (xnor_tensor){XNOR_F32, *xnor_plan_output_shape(e->plan, 0), NULL};
    status = xnor_tensor_bytes(XNOR_F32, &e->input.shape, &in_bytes);
    if (status == XNOR_OK) status = xnor_tensor_bytes(XNOR_F32, &e->output.shape, &out_bytes);
    e->input.data = malloc(in_bytes + 1);
    e->output.data = malloc(out_bytes + 1);
    if (status == XNOR_OK) status = fill_input(cloud_path, &e->input);
    return status;
}

static void stop_engine(engine *e) {
    if (e->session) xnor_session_free(&e->session);
    if (e->plan) xnor_plan_unref(&e->plan);
    if (e->model) xnor_model_unref(&e->model);
    free(e->input.data);
    free(e->output.data);
}

static xnor_status run_engine(engine *e, double *ms) {
    double start = bench_now_ms();
    xnor_status status = xnor_session_run(e->session, &e->input, &e->output, NULL);
    *ms = bench_now_ms() - start;
    return status;
}

static int compare(const char *name, engine *e, peer *p) {
    static double ours[MAX_RUNS];
    double theirs[ROUNDS * PEER_RUNS], ratios[ROUNDS], round_peer[PEER_RUNS];
    size_t count = 0;
    for (int i = 0; i < 20; i++)
        if (run_engine(e, &ours[0]) != XNOR_OK) return -1;
    for (int round = 0; round < ROUNDS; round++) {
        if (run_peer(p, &theirs[round * PEER_RUNS]) != 0) return -1;
        memcpy(round_peer, &theirs[round * PEER_RUNS], sizeof round_peer);
        double peer_ms = bench_quantile(round_peer, PEER_RUNS, 0.5);
        // As long as the peer took, so that both see the same neighbours.
        double until = bench_now_ms() + peer_ms * PEER_RUNS;
        size_t first = count;
        while ((bench_now_ms() < until || count == first) && count < MAX_RUNS)
            if (run_engine(e, &ours[count++]) != XNOR_OK) return -1;
        ratios[round] = peer_ms / bench_quantile(&ours[first], count - first, 0.5);
    }
    double ours_ms = bench_quantile(ours, count, 0.5);
    double theirs_ms = bench_quantile(theirs, ROUNDS * PEER_RUNS, 0.5);
    uint64_t distinct = 0, rows = 0;
    xnor_session_distinct(e->session, &distinct, &rows);
    printf(
        "bench %s xnor_ms=%.4f ort_ms=%.4f ratio=%.1f ratio_quartiles=%.1f..%.1f arena_bytes=%llu "
        "file_bytes=%llu distinct=%llu/%llu isa=%s\n",
        name, ours_ms, theirs_ms, theirs_ms / ours_ms, bench_quantile(ratios, ROUNDS, 0.25),
        bench_quantile(ratios, ROUNDS, 0.75), (unsigned long long)xnor_plan_arena_bytes(e->plan),
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
    for (int i = 3; i < argc; i += 5) {
        engine e = {0};
        peer p = {0};
        if (start_engine(argv[i + 1], argv[i + 2], argv[2], &e) != XNOR_OK) {
            fprintf(stderr, "%s\n", xnor_last_error());
            return 1;
        }
        if (start_peer(argv[1], argv[i + 3], argv[i + 4], &p) != 0 ||
            compare(argv[i], &e, &p) != 0) {
            fprintf(stderr, "%s: the run failed: %s\n", argv[i], xnor_last_error());
            return 1;
        }
        stop_peer(&p);
        stop_engine(&e);
    }
    return 0;
}
