// xnorctl run: runs a .xnor file in this process on NumPy arrays.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "clients/xnorctl/commands.h"
#include "clients/xnorctl/npy.h"
#include "clients/xnorctl/options.h"
#include "clients/xnorctl/table.h"
#include "core/tensor.h"

typedef struct run_options {
    option_list inputs;
    const char *output_dir, *isa, *outputs;
    uint64_t threads, repeat;
    bool stats, profile, no_distinct;
} run_options;

typedef struct run_state {
    xnor_model *model;
    xnor_plan *plan;
    xnor_pool *pool;
    xnor_session *session;
    xnor_tensor inputs[XNOR_MAX_PORTS], outputs[XNOR_MAX_PORTS];
} run_state;

// "NAME=FILE.npy" for each graph input.
static xnor_status read_inputs(const run_options *o, run_state *s) {
    for (size_t i = 0; i < o->inputs.count; i++) {
        const char *equals = strchr(o->inputs.items[i], '=');
        if (!equals)
            return xnor_fail(XNOR_E_ARGUMENT, "--input: expected NAME=FILE.npy, found '%s'",
                             o->inputs.items[i]);
        size_t length = (size_t)(equals - o->inputs.items[i]);
        uint32_t k = 0, count = xnor_model_input_count(s->model);
        while (k < count &&
               (strlen(xnor_model_input(s->model, k)->name) != length ||
                memcmp(xnor_model_input(s->model, k)->name, o->inputs.items[i], length) != 0))
            k++;
        if (k == count)
            return xnor_fail(XNOR_E_ARGUMENT, "--input: the model has no input '%.*s'", (int)length,
                             o->inputs.items[i]);
        if (s->inputs[k].data)
            return xnor_fail(XNOR_E_ARGUMENT, "--input: '%.*s' is given twice", (int)length,
                             o->inputs.items[i]);
        XNOR_TRY(npy_read(equals + 1, xnor_model_input(s->model, k)->dtype, &s->inputs[k]));
    }
    for (uint32_t k = 0; k < xnor_model_input_count(s->model); k++)
        if (!s->inputs[k].data)
            return xnor_fail(XNOR_E_ARGUMENT, "input '%s' is missing: give --input %s=FILE.npy",
                             xnor_model_input(s->model, k)->name,
                             xnor_model_input(s->model, k)->name);
    return XNOR_OK;
}

// Names with commas between them -> a bit for each graph output; NULL: 0, all.
static xnor_status wanted_outputs(const xnor_model *model, const char *names, uint64_t *out) {
    *out = 0;
    for (const char *at = names; at && *at;) {
        const size_t length = strcspn(at, ",");
        uint32_t i = 0, count = xnor_model_output_count(model);
        while (i < count && (strlen(xnor_model_output(model, i)->name) != length ||
                             memcmp(xnor_model_output(model, i)->name, at, length) != 0))
            i++;
        if (i == count)
            return xnor_fail(XNOR_E_ARGUMENT,
                             "--outputs: the model has no output '%.*s'; its first is '%s', "
                             "xnorctl inspect lists all",
                             (int)length, at, xnor_model_output(model, 0)->name);
        *out |= UINT64_C(1) << i;
        at += length + (at[length] == ',');
    }
    return XNOR_OK;
}

static xnor_status prepare(const char *path, const run_options *o, run_state *s) {
    XNOR_TRY(xnor_model_open(path, o->isa, &s->model));
    XNOR_TRY(read_inputs(o, s));
    xnor_shape shapes[XNOR_MAX_PORTS];
    for (uint32_t i = 0; i < xnor_model_input_count(s->model); i++) shapes[i] = s->inputs[i].shape;
    xnor_plan_options options = {.no_distinct = o->no_distinct};
    XNOR_TRY(wanted_outputs(s->model, o->outputs, &options.outputs));
    XNOR_TRY(xnor_plan_create_with(s->model, shapes, &options, &s->plan));
    XNOR_TRY(xnor_pool_create((uint32_t)o->threads, &s->pool));
    XNOR_TRY(xnor_session_create(s->plan, s->pool, &s->session));
    for (uint32_t i = 0; i < xnor_model_output_count(s->model); i++) {
        const xnor_shape *shape = xnor_plan_output_shape(s->plan, i);
        size_t bytes = 0;
        if (!shape) continue; // not wanted
        s->outputs[i] = (xnor_tensor){xnor_model_output(s->model, i)->dtype, *shape, NULL};
        XNOR_TRY(xnor_tensor_bytes(s->outputs[i].dtype, shape, &bytes));
        s->outputs[i].data = malloc(bytes + 1);
        if (!s->outputs[i].data) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    }
    return XNOR_OK;
}

// File name of an output: names come from the model file and must not lead out of the folder, so '/' and
// a leading '.' become '_'.
static xnor_status output_path(const char *folder, const char *name, char *path, size_t size) {
    int length = snprintf(path, size, "%s/%s.npy", folder, name);
    if (length < 0 || (size_t)length >= size)
        return xnor_fail(XNOR_E_ARGUMENT, "output '%s': the file name is too long", name);
    char *file = path + strlen(folder) + 1;
    if (file[0] == '.') file[0] = '_';
    for (; *file; file++)
        if (*file == '/') *file = '_';
    return XNOR_OK;
}

static xnor_status write_outputs(const char *folder, const run_state *s) {
    char paths[XNOR_MAX_PORTS][1024];
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return xnor_fail(XNOR_E_IO, "%s: %s", folder, strerror(errno));
    for (uint32_t i = 0; i < xnor_model_output_count(s->model); i++) {
        const char *name = xnor_model_output(s->model, i)->name;
        *paths[i] = '\0';
        if (!s->outputs[i].data) continue;
        XNOR_TRY(output_path(folder, name, paths[i], sizeof paths[i]));
        for (uint32_t k = 0; k < i; k++)
            if (*paths[k] && strcmp(paths[k], paths[i]) == 0)
                return xnor_fail(XNOR_E_ARGUMENT, "outputs '%s' and '%s' both need %s",
                                 xnor_model_output(s->model, k)->name, name, paths[i]);
        XNOR_TRY(npy_write(paths[i], &s->outputs[i]));
    }
    return XNOR_OK;
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Mean time of each step over the runs.
static void print_profile(const run_options *o, const run_state *s, const uint64_t *step_ns) {
    static const char *const titles[] = {"step", "node", ">us", ">share"};
    table t = table_start(titles, sizeof titles / sizeof *titles);
    uint64_t total = 0;
    for (uint32_t i = 0; i < xnor_plan_step_count(s->plan); i++) total += step_ns[i];
    for (uint32_t i = 0; i < xnor_plan_step_count(s->plan); i++) {
        table_cell(&t, "%s", xnor_plan_step_kind(s->plan, i));
        table_cell(&t, "%s", xnor_plan_step_name(s->plan, i));
        table_cell(&t, "%.2f", (double)step_ns[i] / 1e3 / (double)o->repeat);
        table_cell(&t, "%.1f %%", total ? 100.0 * (double)step_ns[i] / (double)total : 0.0);
    }
    table_print(&t, stderr);
    table_free(&t);
}

// What the outputs that were not asked for would have cost, in as many runs of all of them.
static xnor_status print_saving(const run_options *o, const run_state *s, double some_ms) {
    xnor_shape shapes[XNOR_MAX_PORTS];
    xnor_plan *plan = NULL;
    xnor_session *session = NULL;
    xnor_tensor outputs[XNOR_MAX_PORTS] = {{0}};
    double *ms = calloc(o->repeat, sizeof *ms);
    const xnor_plan_options options = {.no_distinct = o->no_distinct};
    for (uint32_t i = 0; i < xnor_model_input_count(s->model); i++) shapes[i] = s->inputs[i].shape;
    xnor_status status = ms ? xnor_plan_create_with(s->model, shapes, &options, &plan)
                            : xnor_fail(XNOR_E_MEMORY, "out of memory");
    if (status == XNOR_OK) status = xnor_session_create(plan, s->pool, &session);
    for (uint32_t i = 0; status == XNOR_OK && i < xnor_model_output_count(s->model); i++) {
        size_t bytes = 0;
        const xnor_shape *shape = xnor_plan_output_shape(plan, i);
        outputs[i] = (xnor_tensor){xnor_model_output(s->model, i)->dtype, *shape, NULL};
        status = xnor_tensor_bytes(outputs[i].dtype, shape, &bytes);
        if (status == XNOR_OK) outputs[i].data = malloc(bytes + 1);
        if (status == XNOR_OK && !outputs[i].data)
            status = xnor_fail(XNOR_E_MEMORY, "out of memory");
    }
    for (uint64_t i = 0; i < o->repeat && status == XNOR_OK; i++) {
        double start = now_ms();
        status = xnor_session_run(session, s->inputs, outputs, NULL);
        ms[i] = now_ms() - start;
    }
    if (status == XNOR_OK) {
        qsort(ms, o->repeat, sizeof *ms, by_value);
        fprintf(stderr,
                "outputs %s: %u of %u steps, arena %" PRIu64 " of %" PRIu64
                " bytes, ms median %.4f of %.4f, %.1f %% saved\n",
                o->outputs, xnor_plan_step_count(s->plan), xnor_plan_step_count(plan),
                xnor_plan_arena_bytes(s->plan), xnor_plan_arena_bytes(plan), some_ms,
                ms[o->repeat / 2], 100 * (1 - some_ms / ms[o->repeat / 2]));
    }
    for (uint32_t i = 0; i < XNOR_MAX_PORTS; i++) free(outputs[i].data);
    if (session) xnor_session_free(&session);
    if (plan) xnor_plan_unref(&plan);
    free(ms);
    return status;
}

static xnor_status run(const run_options *o, run_state *s) {
    double *ms = calloc(o->repeat, sizeof *ms);
    uint64_t *step_ns = calloc(xnor_plan_step_count(s->plan) + 1, sizeof *step_ns);
    if (!ms || !step_ns) {
        free(ms);
        free(step_ns);
        return xnor_fail(XNOR_E_MEMORY, "out of memory");
    }
    if (o->profile) xnor_session_profile(s->session, step_ns);
    xnor_status status = XNOR_OK;
    for (uint64_t i = 0; i < o->repeat && status == XNOR_OK; i++) {
        double start = now_ms();
        status = xnor_session_run(s->session, s->inputs, s->outputs, NULL);
        ms[i] = now_ms() - start;
    }
    qsort(ms, o->repeat, sizeof *ms, by_value);
    uint64_t distinct = 0, rows = 0;
    xnor_session_distinct(s->session, &distinct, &rows);
    if (status == XNOR_OK && o->stats && rows)
        fprintf(stderr, "%" PRIu64 " distinct codes of %" PRIu64 " points\n", distinct, rows);
    if (status == XNOR_OK && o->stats)
        fprintf(stderr,
                "isa %s, %" PRIu64 " threads, arena %" PRIu64 " bytes, %u steps, ms median %.4f "
                "min %.4f max %.4f of %" PRIu64 " runs\n",
                xnor_model_isa(s->model), o->threads, xnor_plan_arena_bytes(s->plan),
                xnor_plan_step_count(s->plan), ms[o->repeat / 2], ms[0], ms[o->repeat - 1],
                o->repeat);
    if (status == XNOR_OK && o->profile) print_profile(o, s, step_ns);
    if (status == XNOR_OK && o->stats && o->outputs) status = print_saving(o, s, ms[o->repeat / 2]);
    free(ms);
    free(step_ns);
    return status;
}

int xnorctl_run(int argc, char **argv) {
    run_options o = {.threads = 1, .repeat = 1};
    const option_spec specs[] = {
        {.name = "input",
         .letter = 'i',
         .kind = OPTION_LIST,
         .target = &o.inputs,
         .argument = "NAME=FILE.npy",
         .help = "array for a graph input; once for each"},
        {.name = "output-dir",
         .letter = 'o',
         .kind = OPTION_TEXT,
         .target = &o.output_dir,
         .argument = "DIR",
         .help = "folder for OUTPUT.npy of every graph output"},
        {.name = "outputs",
         .kind = OPTION_TEXT,
         .target = &o.outputs,
         .argument = "NAME,...",
         .help = "compute only these graph outputs (all); --stats prints what that saves"},
        {.name = "threads",
         .kind = OPTION_NUMBER,
         .target = &o.threads,
         .argument = "N",
         .help = "threads of the run (1)",
         .min = 1,
         .max = 1024},
        {.name = "isa",
         .kind = OPTION_TEXT,
         .target = &o.isa,
         .argument = "NAME",
         .help = "kernels: c, avx2, avx512, neon, neon_dotprod (the best)"},
        {.name = "repeat",
         .kind = OPTION_NUMBER,
         .target = &o.repeat,
         .argument = "N",
         .help = "run N times (1)",
         .min = 1,
         .max = 1000000},
        {.name = "stats",
         .kind = OPTION_FLAG,
         .target = &o.stats,
         .help = "print time, memory and kernels to stderr"},
        {.name = "no-distinct",
         .kind = OPTION_FLAG,
         .target = &o.no_distinct,
         .help = "evaluate every point, also where codes are equal"},
        {.name = "profile",
         .kind = OPTION_FLAG,
         .target = &o.profile,
         .help = "print the time of every step to stderr"},
    };
    int operands;
    const int parsed = options_parse(specs, sizeof specs / sizeof *specs, argc, argv, &operands);
    if (parsed != OPTIONS_CONTINUE) return parsed;
    if (argc - operands != 1) return options_usage_error(argv[0], "expected one .xnor file");
    if (!o.output_dir) return options_usage_error(argv[0], "expected --output-dir DIR");

    run_state s = {0};
    xnor_status status = prepare(argv[operands], &o, &s);
    const bool usage = status == XNOR_E_ARGUMENT;
    if (status == XNOR_OK) status = run(&o, &s);
    if (status == XNOR_OK) status = write_outputs(o.output_dir, &s);
    if (status != XNOR_OK) fprintf(stderr, "xnorctl run: %s\n", xnor_last_error());
    for (uint32_t i = 0; i < XNOR_MAX_PORTS; i++) {
        free(s.inputs[i].data);
        free(s.outputs[i].data);
    }
    if (s.session) xnor_session_free(&s.session);
    if (s.pool) xnor_pool_free(&s.pool);
    if (s.plan) xnor_plan_unref(&s.plan);
    if (s.model) xnor_model_unref(&s.model);
    return status == XNOR_OK ? XNORCTL_OK : usage ? XNORCTL_USAGE : XNORCTL_FAILED;
}
