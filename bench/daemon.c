// What the daemon adds to a run: one client sends a cloud of 1,024 points (12 KB) and waits,
// against the same work (prepare, run, label) in this process, alternating in one run.
//   daemon URL MODEL.xnor MODEL_NAME
#include <stdio.h>
#include <string.h>

#include "bench/clock.h"
#include "include/xnor.h"
#include "xnord.h"

enum { POINTS = 1024, ROUNDS = 40, RUNS = 50 };

typedef struct local {
    xnor_model *model;
    xnor_plan *plan;
    xnor_session *session;
    float *prepared, *scores;
} local;

static xnor_status start_local(const char *path, local *l) {
    xnor_status status = xnor_model_open(path, NULL, &l->model);
    if (status != XNOR_OK) return status;
    xnor_shape shape = {3, {1, xnor_model_description(l->model)->points, 3}};
    status = xnor_plan_create(l->model, &shape, &l->plan);
    if (status == XNOR_OK) status = xnor_session_create(l->plan, NULL, &l->session);
    l->prepared = malloc((size_t)shape.dims[1] * 12);
    l->scores = malloc(xnor_model_description(l->model)->class_count * sizeof *l->scores);
    return status;
}

static xnor_status run_local(local *l, const float *xyz, uint32_t *label) {
    const xnor_description *d = xnor_model_description(l->model);
    const xnor_cloud cloud = {xyz, POINTS, 12};
    xnor_status status = xnor_cloud_prepare(d, &cloud, NULL, l->prepared);
    xnor_tensor in = {XNOR_F32, {3, {1, d->points, 3}}, l->prepared};
    xnor_tensor out = {XNOR_F32, *xnor_plan_output_shape(l->plan, 0), l->scores};
    if (status == XNOR_OK) status = xnor_session_run(l->session, &in, &out, NULL);
    xnor_label best;
    if (status == XNOR_OK && xnor_labels_from_scores(d, l->scores, &best, 1) == 1)
        *label = best.class_id;
    return status;
}

// *timing: what the server says of itself.
static xnord_status run_remote(xnord_client *client, const char *model, const char *input,
                               const float *xyz, uint32_t *label, xnord_timing *timing) {
    const xnord_tensor tensor = xnord_cloud_tensor(input, xyz, POINTS);
    const xnord_infer_request request = {
        .model = model, .input_count = 1, .inputs = &tensor, .top_k = 1};
    xnord_result *result = NULL;
    xnord_status status = xnord_infer(client, &request, &result);
    if (status != XNORD_OK) return status;
    *label = xnord_result_label(result, 0)->class_id;
    *timing = *xnord_result_timing(result);
    xnord_result_free(&result);
    return XNORD_OK;
}

static int compare(local *l, xnord_client *client, const char *model) {
    static double here[ROUNDS * RUNS], there[ROUNDS * RUNS], compute[ROUNDS * RUNS];
    static double inside[ROUNDS * RUNS];
    static float xyz[POINTS * 3];
    const char *input = xnor_model_description(l->model)->input_name;
    uint32_t state = 7, label_here = 0, label_there = 1;
    for (size_t i = 0; i < POINTS * 3; i++) {
        state = state * 1103515245u + 12345u;
        xyz[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = round * RUNS; i < (round + 1) * RUNS; i++) {
            double start = bench_now_ms();
            if (run_local(l, xyz, &label_here) != XNOR_OK) return 1;
            here[i] = (bench_now_ms() - start) * 1e3;
        }
        for (size_t i = round * RUNS; i < (round + 1) * RUNS; i++) {
            double start = bench_now_ms();
            xnord_timing timing;
            if (run_remote(client, model, input, xyz, &label_there, &timing) != XNORD_OK) return 1;
            there[i] = (bench_now_ms() - start) * 1e3;
            compute[i] = (double)timing.compute_us;
            inside[i] = (double)timing.total_us;
        }
    }
    if (label_here != label_there) {
        fprintf(stderr, "the daemon answers class %u, this process %u\n", label_there, label_here);
        return 1;
    }
    double a = bench_quantile(here, ROUNDS * RUNS, 0.5),
           b = bench_quantile(there, ROUNDS * RUNS, 0.5);
    printf("bench daemon_added_12kb inprocess_us=%.1f daemon_us=%.1f added_us=%.1f "
           "daemon_p99_us=%.1f server_total_us=%.0f server_compute_us=%.0f\n",
           a, b, b - a, bench_quantile(there, ROUNDS * RUNS, 0.99),
           bench_quantile(inside, ROUNDS * RUNS, 0.5), bench_quantile(compute, ROUNDS * RUNS, 0.5));
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: daemon URL MODEL.xnor MODEL_NAME\n");
        return 2;
    }
    local l = {0};
    xnord_client *client = NULL;
    int code = 1;
    if (start_local(argv[2], &l) != XNOR_OK)
        fprintf(stderr, "%s\n", xnor_last_error());
    else if (xnord_client_open(argv[1], NULL, &client) != XNORD_OK)
        fprintf(stderr, "%s\n", xnord_last_error());
    else
        code = compare(&l, client, argv[3]);
    xnord_client_close(&client);
    if (l.session) xnor_session_free(&l.session);
    if (l.plan) xnor_plan_unref(&l.plan);
    if (l.model) xnor_model_unref(&l.model);
    free(l.prepared);
    free(l.scores);
    return code;
}
