// Plans: shapes, refusals, where values live, and graphs that only a hostile file holds.
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"
#include "exec/plan.h"
#include "exec/tail.h"
#include "network_builder.h"
#include "ops/ops.h"

static const uint32_t pointnet_widths[5] = {64, 128, 1024, 512, 256};
static const uint32_t small_widths[5] = {64, 70, 128, 64, 33};

static xnor_model *small_network(builder *b, int64_t batch, int64_t points) {
    builder_init(b, 7);
    network_pointnet(b, batch, points, small_widths, 5);
    return builder_compile(b, NULL, NULL);
}

Test(plan, one_model_serves_any_number_of_points) {
    builder b;
    xnor_model *model = small_network(&b, -1, -1);
    static const int64_t shapes[][2] = {{1, 1}, {1, 7}, {3, 64}, {2, 300}};
    for (size_t i = 0; i < 4; i++) {
        tensors inputs, want, found;
        network_points(&b, CHANNELS_LAST, shapes[i][0], shapes[i][1], &inputs);
        builder_reference(&b.graph, &inputs, &want);
        builder_run(model, NULL, &inputs, &found);
        cr_assert_eq(found.items[0].shape.dims[0], shapes[i][0]);
        cr_assert_leq(tensors_distance(&want.items[0], &found.items[0]), 1e-4, "%g",
                      tensors_distance(&want.items[0], &found.items[0]));
        tensors_free(&inputs);
        tensors_free(&want);
        tensors_free(&found);
    }
    xnor_model_unref(&model);
    builder_free(&b);
}

Test(plan, wrong_shapes_are_refused_with_both_shapes) {
    builder b;
    xnor_model *model = small_network(&b, -1, 16);
    static const xnor_shape wrong[] = {
        {3, {1, 17, 3}}, {2, {16, 3}}, {3, {1, 16, 4}}, {3, {0, 16, 3}}};
    static const char *const texts[] = {
        "input 'points': expected shape [?, 16, 3], found [1, 17, 3]",
        "input 'points': expected shape [?, 16, 3], found [16, 3]",
        "input 'points': expected shape [?, 16, 3], found [1, 16, 4]",
        "input 'points': expected shape [?, 16, 3], found [0, 16, 3]"};
    for (int i = 0; i < 4; i++) {
        xnor_plan *plan = NULL;
        cr_assert_eq(xnor_plan_create(model, &wrong[i], &plan), XNOR_E_SHAPE);
        cr_assert_str_eq(xnor_last_error(), texts[i]);
        cr_assert_null(plan);
    }
    xnor_model_unref(&model);
    builder_free(&b);
}

Test(plan, pointnet_needs_little_memory_and_no_real_features_after_its_first_layer) {
    builder b;
    builder_init(&b, 1);
    network_pointnet(&b, 1, 1024, pointnet_widths, 40);
    xnor_model *model = builder_compile(&b, NULL, NULL);
    tensors inputs;
    network_points(&b, CHANNELS_LAST, 1, 1024, &inputs);
    xnor_plan *plan = builder_plan(model, &inputs);
    cr_assert_leq(xnor_plan_arena_bytes(plan), 3 << 20, "%llu bytes",
                  (unsigned long long)xnor_plan_arena_bytes(plan));
    // Codes from the first layer, signs from sums, the maximum of sums: no sum of a point is
    // written, nor its own code.
    uint32_t last = xnor_plan_step_count(plan) - 1, max = 0;
    cr_assert_str_eq(xnor_plan_step_kind(plan, 0), "distinct");
    while (max < last && strcmp(xnor_plan_step_kind(plan, max), "gemm_max") != 0) max++;
    for (uint32_t i = 1; i < max; i++) {
        const char *kind = xnor_plan_step_kind(plan, i);
        cr_assert_str_eq(kind, "gemm_thr");
    }
    for (uint32_t i = 0; i < last; i++)
        cr_assert_str_neq(xnor_plan_step_kind(plan, i), "reference");
    cr_assert_lt(max, last);
    cr_assert_eq(strncmp(xnor_plan_step_name(plan, last), "/LogSoftmax_", 12), 0);
    cr_assert_null(xnor_plan_output_shape(plan, 1));
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    builder_free(&b);
}

// A binary layer with what surrounds it: sign before, batch normalisation behind.
static features layer(builder *b, features x, uint32_t out) {
    x = network_binary_layer(b, network_sign(b, x, WHERE_NOT_NEGATIVE), out, false);
    return network_batch_norm(b, x, false);
}

// Points [1, N, c] times a matrix [c, c] that a T-Net finds from features of the same cloud.
static features transformed(builder *b, features points, features x) {
    static const uint32_t widths[] = {128, 1024, 512, 256};
    int64_t size = points.channels;
    for (int i = 0; i < 4; i++) {
        x = layer(b, x, widths[i]);
        if (i == 1) x = network_max(b, x);
    }
    x = layer(b, x, points.channels * points.channels);
    xnor_value_id matrix = NODE(b, XNOR_OP_RESHAPE, x.id, builder_ints(b, I(1, size, size)));
    points.id = NODE(b, XNOR_OP_MATMUL, points.id, matrix);
    return points;
}

Test(plan, pointnet_with_tnets_needs_less_than_three_megabytes) {
    builder b;
    builder_init(&b, 2);
    features points = {builder_input(&b, "points", XNOR_F32, SHAPE(1, 1024, 3)), 3, 3,
                       CHANNELS_LAST};
    features x = transformed(&b, points, network_float_layer(&b, points, 64));
    x = network_hardtanh(&b, network_batch_norm(&b, network_float_layer(&b, x, 64), false));
    x = transformed(&b, x, layer(&b, x, 64));
    x = network_max(&b, layer(&b, layer(&b, x, 128), 1024));
    x = layer(&b, layer(&b, x, 512), 256);
    builder_output(&b, network_float_layer(&b, x, 40).id, "scores");
    xnor_model *model = builder_compile(&b, NULL, NULL);
    tensors inputs;
    network_points(&b, CHANNELS_LAST, 1, 1024, &inputs);
    xnor_plan *plan = builder_plan(model, &inputs);
    cr_assert_leq(xnor_plan_arena_bytes(plan), 3 << 20, "%llu bytes",
                  (unsigned long long)xnor_plan_arena_bytes(plan));
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    builder_free(&b);
}

// ---- the memory plan ----------------------------------------------------------------------------

static bool is_view(const xnor_node *node) {
    return (xnor_op_lookup(node->op)->flags & XNOR_VIEW) != 0;
}

static bool tail_writes(const xnor_tail *tail, xnor_value_id value) {
    for (size_t i = 0; tail && i < tail->count; i++)
        if (tail->ops[i].y == value) return true;
    return false;
}

// Step in which node `index` is computed: its own, or the one that it was fused into. What is stored nowhere
// belongs to the tail of the last of the steps that it takes something of.
static uint32_t step_of(const xnor_plan *plan, uint32_t index) {
    const xnor_node *node = &plan->graph.nodes[index];
    uint32_t found = UINT32_MAX;
    for (uint32_t s = 0; s < plan->step_count; s++)
        if (plan->steps[s].node == node || plan->steps[s].y == node->outputs[0] ||
            tail_writes(plan->steps[s].tail, node->outputs[0]))
            return s;
    for (uint32_t k = 0; k < node->input_count; k++) {
        const xnor_value_id id = node->inputs[k];
        uint32_t producer =
            id == XNOR_NO_VALUE ? UINT32_MAX : xnor_graph_producer(&plan->graph, id);
        if (producer == UINT32_MAX) continue;
        const uint32_t step = step_of(plan, producer);
        if (step != UINT32_MAX && (found == UINT32_MAX || step > found)) found = step;
    }
    return found;
}

typedef struct life {
    size_t begin, end;
    uint32_t first, last;
} life;

// The step's tail reads the one map value by value before it stores the other.
static bool replaces(const xnor_plan *plan, const life *old, const life *new) {
    return old->last == new->first && old->begin == new->begin && old->end == new->end &&
           plan->steps[old->last].tail != NULL;
}

// From the graph, not from what the memory plan took for lifetimes.
static bool life_of(const xnor_plan *plan, xnor_value_id value, life *out) {
    size_t bytes = 0;
    const xnor_graph *graph = &plan->graph;
    if (plan->root[value] != value || plan->offset[value] == SIZE_MAX) return false;
    cr_assert_eq(xnor_tensor_bytes(graph->values[value].dtype, &graph->values[value].shape, &bytes),
                 XNOR_OK);
    *out = (life){plan->offset[value], plan->offset[value] + bytes, UINT32_MAX, 0};
    for (uint32_t i = 0; i < graph->node_count; i++) {
        uint32_t step = step_of(plan, i);
        for (uint32_t k = 0; k < graph->nodes[i].output_count; k++)
            if (graph->nodes[i].outputs[k] == value && step != UINT32_MAX) out->first = step;
        for (uint32_t k = 0; k < graph->nodes[i].input_count; k++) {
            xnor_value_id id = graph->nodes[i].inputs[k];
            if (id == XNOR_NO_VALUE || plan->root[id] != value || is_view(&graph->nodes[i]))
                continue;
            cr_assert_neq(step, UINT32_MAX, "node %s is never computed", graph->nodes[i].name);
            if (step > out->last) out->last = step;
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (plan->root[graph->outputs[i]] == value) out->last = UINT32_MAX;
    return true;
}

static void check_memory(const xnor_plan *plan, uint32_t seed) {
    uint32_t count = plan->graph.value_count, used = 0;
    life *lives = calloc(count + 1, sizeof *lives);
    cr_assert_not_null(lives);
    for (uint32_t i = 0; i < count; i++) used += life_of(plan, i, &lives[used]);
    cr_assert_gt(used, 0);
    for (uint32_t i = 0; i < used; i++) {
        cr_assert_eq(lives[i].begin % 64, 0);
        cr_assert_leq(lives[i].end, plan->arena_bytes);
        for (uint32_t k = 0; k < i; k++) {
            bool together = lives[i].first <= lives[k].last && lives[k].first <= lives[i].last;
            bool overlap = lives[i].begin < lives[k].end && lives[k].begin < lives[i].end;
            if (replaces(plan, &lives[i], &lives[k]) || replaces(plan, &lives[k], &lives[i]))
                continue;
            cr_assert(!(together && overlap), "seed %u: values of steps %u..%u and %u..%u overlap",
                      seed, lives[i].first, lives[i].last, lives[k].first, lives[k].last);
        }
    }
    free(lives);
}

Test(plan, living_values_do_not_share_memory) {
    for (uint32_t seed = 1; seed <= 40; seed++) {
        builder b;
        builder_init(&b, seed);
        random_network net = network_random(&b);
        xnor_model *model = builder_compile(&b, "c", NULL);
        tensors inputs;
        network_points(&b, net.layout, 2, 4, &inputs);
        xnor_plan *plan = builder_plan(model, &inputs);
        check_memory(plan, seed);
        xnor_plan_unref(&plan);
        xnor_model_unref(&model);
        tensors_free(&inputs);
        builder_free(&b);
    }
}

Test(plan, living_values_of_merged_codes_do_not_share_memory) {
    builder b;
    xnor_model *model = small_network(&b, -1, -1);
    tensors inputs;
    network_points(&b, CHANNELS_LAST, 2, 300, &inputs);
    xnor_plan *plan = builder_plan(model, &inputs);
    check_memory(plan, 7);
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    builder_free(&b);
}

// ---- some outputs -------------------------------------------------------------------------------

static xnor_plan *plan_of(xnor_model *model, const xnor_shape *shape, uint64_t outputs) {
    const xnor_plan_options options = {.outputs = outputs};
    xnor_plan *plan = NULL;
    cr_assert_eq(xnor_plan_create_with(model, shape, &options, &plan), XNOR_OK, "%s",
                 xnor_last_error());
    return plan;
}

Test(plan, only_what_wanted_outputs_need_is_computed) {
    enum { ROWS = 2, COLUMNS = 3 };
    builder b;
    builder_init(&b, 5);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, COLUMNS));
    xnor_value_id both = NODE(&b, XNOR_OP_EXP, x);
    builder_output(&b, NODE(&b, XNOR_OP_TANH, NODE(&b, XNOR_OP_SQRT, both)), "first");
    builder_output(&b, NODE(&b, XNOR_OP_NEG, both), "second");
    xnor_model *model = builder_model(&b.graph, NULL);
    const xnor_shape shape = {2, {ROWS, COLUMNS}};
    float in[ROWS * COLUMNS] = {0, 1, -1, 2, 0.5f, -2}, all[2][ROWS * COLUMNS],
                    some[ROWS * COLUMNS];
    const xnor_tensor input = {XNOR_F32, shape, in};
    xnor_tensor outputs[2] = {{XNOR_F32, shape, all[0]}, {XNOR_F32, shape, all[1]}};
    xnor_plan *whole = plan_of(model, &shape, 0), *second = plan_of(model, &shape, 2);
    cr_expect_lt(xnor_plan_step_count(second), xnor_plan_step_count(whole));
    cr_expect_null(xnor_plan_output_shape(second, 0));
    cr_expect_not_null(xnor_plan_output_shape(second, 1));
    xnor_session *session = NULL;
    cr_assert_eq(xnor_session_create(whole, NULL, &session), XNOR_OK);
    cr_assert_eq(xnor_session_run(session, &input, outputs, NULL), XNOR_OK);
    xnor_session_free(&session);
    outputs[0] = (xnor_tensor){0};
    outputs[1].data = some;
    cr_assert_eq(xnor_session_create(second, NULL, &session), XNOR_OK);
    cr_assert_eq(xnor_session_run(session, &input, outputs, NULL), XNOR_OK);
    xnor_session_free(&session);
    cr_expect_arr_eq(some, all[1], sizeof some);
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        cr_expect_float_eq((double)some[i], -exp((double)in[i]), 1e-6);
    const xnor_plan_options beyond = {.outputs = 4};
    xnor_plan *none = NULL;
    cr_expect_eq(xnor_plan_create_with(model, &shape, &beyond, &none), XNOR_E_ARGUMENT);
    xnor_plan_unref(&whole);
    xnor_plan_unref(&second);
    xnor_model_unref(&model);
    builder_free(&b);
}

// ---- graphs that the compiler does not write ----------------------------------------------------

static builder odd;

// Runs the graph as it is, without passes, and compares with the reference.
static void expect_reference(xnor_value_id y) {
    builder_output(&odd, y, "y");
    cr_assert_eq(xnor_graph_verify(&odd.graph), XNOR_OK, "%s", xnor_last_error());
    tensors inputs, want, found;
    builder_inputs(&odd, 3, &inputs);
    builder_reference(&odd.graph, &inputs, &want);
    xnor_model *model = builder_model(&odd.graph, NULL);
    builder_run(model, NULL, &inputs, &found);
    cr_assert_leq(tensors_distance(&want.items[0], &found.items[0]), 1e-5);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&want);
    tensors_free(&found);
    builder_free(&odd);
}

static xnor_value_id odd_input(void) {
    builder_init(&odd, 1);
    return builder_input(&odd, "x", XNOR_F32, SHAPE(-1, 4));
}

// [3, 4] when the input has three rows, known only to the plan.
static xnor_value_id computed(xnor_value_id x) {
    xnor_value_id shape = NODE(&odd, XNOR_OP_SHAPE, x);
    xnor_value_id ones =
        NODE(&odd, XNOR_OP_CONSTANT_OF_SHAPE, shape, builder_floats(&odd, SHAPE(1), D(0.5)));
    return NODE(&odd, XNOR_OP_SUB, ones, builder_floats(&odd, SHAPE(4), D(0, 1, 2, 0)));
}

Test(plan, weights_that_only_the_plan_knows) {
    xnor_value_id x = odd_input();
    expect_reference(NODE(&odd, XNOR_OP_LINEAR, x, computed(x)));
}

Test(plan, binary_weights_that_are_computed) {
    xnor_value_id x = odd_input();
    xnor_value_id w = NODE(&odd, XNOR_OP_BINARIZE, computed(x));
    xnor_value_id acc = NODE(&odd, XNOR_OP_XNOR_LINEAR, NODE(&odd, XNOR_OP_BINARIZE, x), w);
    expect_reference(NODE(&odd, XNOR_OP_NEG, acc));
}

Test(plan, binary_weights_that_are_inputs) {
    xnor_value_id x = odd_input();
    xnor_value_id w = NODE(&odd, XNOR_OP_BINARIZE, builder_input(&odd, "w", XNOR_F32, SHAPE(2, 4)));
    xnor_value_id acc = NODE(&odd, XNOR_OP_XNOR_LINEAR, NODE(&odd, XNOR_OP_BINARIZE, x), w);
    expect_reference(NODE(&odd, XNOR_OP_NEG, acc));
}

Test(plan, thresholds_that_are_computed) {
    xnor_value_id x = odd_input();
    xnor_value_id w = builder_tensor(&odd, XNOR_BITS, SHAPE(2, 4), D(1, 1, -1, 1, -1, 1, 1, 1));
    xnor_value_id limits = NODE(&odd, XNOR_OP_CAST, builder_input(&odd, "t", XNOR_F32, SHAPE(2)));
    builder_attr(&odd, XNOR_ATTR_TO, I(XNOR_I32));
    xnor_value_id acc = NODE(&odd, XNOR_OP_XNOR_LINEAR, NODE(&odd, XNOR_OP_BINARIZE, x), w);
    expect_reference(NODE(&odd, XNOR_OP_NEG, NODE(&odd, XNOR_OP_THRESHOLD, acc, limits)));
}

Test(plan, float_layers_with_weights_of_other_types) {
    xnor_value_id x = odd_input();
    xnor_value_id w = builder_tensor(&odd, XNOR_U8, SHAPE(2, 4), D(1, 2, 3, 4, 5, 6, 7, 8));
    xnor_value_id bias = builder_tensor(&odd, XNOR_U8, SHAPE(2), D(1, 2));
    expect_reference(NODE(&odd, XNOR_OP_LINEAR, x, w, bias));
}

Test(plan, sums_over_ternary_and_views_of_them) {
    xnor_value_id ternary = NODE(&odd, XNOR_OP_BINARIZE, odd_input());
    builder_attr_float(&odd, XNOR_ATTR_ALPHA, 0);
    xnor_value_id w = builder_tensor(&odd, XNOR_BITS, SHAPE(2, 4), D(1, 1, -1, 1, -1, 1, 1, 1));
    xnor_value_id rows = NODE(&odd, XNOR_OP_UNSQUEEZE, ternary, builder_ints(&odd, I(0)));
    xnor_value_id max = NODE(&odd, XNOR_OP_REDUCE_MAX, NODE(&odd, XNOR_OP_XNOR_LINEAR, rows, w));
    builder_attr(&odd, XNOR_ATTR_AXES, I(1));
    expect_reference(NODE(&odd, XNOR_OP_NEG, max));
}

static xnor_value_id empty_rows(xnor_value_id x) {
    return NODE(&odd, XNOR_OP_SLICE, x, builder_ints(&odd, I(0)), builder_ints(&odd, I(0)));
}

Test(plan, products_of_no_rows) {
    xnor_value_id x = odd_input();
    expect_reference(
        NODE(&odd, XNOR_OP_MATMUL, empty_rows(x), builder_input(&odd, "w", XNOR_F32, SHAPE(4, 2))));
}

Test(plan, sums_of_no_rows) {
    xnor_value_id none = empty_rows(odd_input());
    expect_reference(NODE(&odd, XNOR_OP_ADD, none, none));
}

Test(plan, integer_layers_of_no_rows) {
    xnor_value_id signs = NODE(&odd, XNOR_OP_BINARIZE, empty_rows(odd_input()));
    xnor_value_id w = builder_tensor(&odd, XNOR_BITS, SHAPE(2, 4), D(1, 1, -1, 1, -1, 1, 1, 1));
    expect_reference(NODE(&odd, XNOR_OP_NEG, NODE(&odd, XNOR_OP_XNOR_LINEAR, signs, w)));
}

static xnor_value_id empty_columns(xnor_value_id x) {
    return NODE(&odd, XNOR_OP_SLICE, x, builder_ints(&odd, I(0)), builder_ints(&odd, I(0)),
                builder_ints(&odd, I(1)));
}

static xnor_value_id along(xnor_op op, xnor_value_id x, int64_t axis) {
    xnor_value_id y = NODE(&odd, op, x);
    builder_attr(&odd, op == XNOR_OP_REDUCE_SUM ? XNOR_ATTR_AXES : XNOR_ATTR_AXIS, &axis, 1);
    return y;
}

Test(plan, functions_of_nothing) {
    xnor_value_id x = odd_input(), rows = empty_rows(x), columns = empty_columns(x);
    builder_output(&odd, NODE(&odd, XNOR_OP_PAD, rows, builder_ints(&odd, I(1, 0, 1, 2))), "pad");
    const xnor_value_id empty[] = {
        NODE(&odd, XNOR_OP_SIGMOID, rows),         NODE(&odd, XNOR_OP_SIGMOID, columns),
        along(XNOR_OP_SOFTMAX, rows, 0),           along(XNOR_OP_SOFTMAX, rows, 1),
        along(XNOR_OP_SOFTMAX, columns, 0),        along(XNOR_OP_SOFTMAX, columns, 1),
        along(XNOR_OP_REDUCE_SUM, rows, 1),        along(XNOR_OP_REDUCE_SUM, columns, 0),
        along(XNOR_OP_REDUCE_SUM, rows, 1),        NODE(&odd, XNOR_OP_TRANSPOSE, rows),
        NODE(&odd, XNOR_OP_TRANSPOSE, columns),    along(XNOR_OP_ARG_MAX, rows, 1),
        NODE(&odd, XNOR_OP_SUB, columns, columns), along(XNOR_OP_ARG_MAX, columns, 0),
    };
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        char name[8];
        snprintf(name, sizeof name, "y%zu", i);
        builder_output(&odd, empty[i], name);
    }
    expect_reference(NODE(&odd, XNOR_OP_EXP, columns));
}

static void expect_refusal(xnor_value_id y, xnor_status status, const char *text) {
    builder_output(&odd, y, "y");
    cr_assert_eq(xnor_graph_verify(&odd.graph), XNOR_OK, "%s", xnor_last_error());
    xnor_model *model = builder_model(&odd.graph, NULL);
    xnor_plan *plan = NULL;
    const xnor_shape shape = SHAPE(3, 4);
    cr_assert_eq(xnor_plan_create(model, &shape, &plan), status, "%s", xnor_last_error());
    cr_assert_not_null(strstr(xnor_last_error(), text), "%s", xnor_last_error());
    xnor_model_unref(&model);
    builder_free(&odd);
}

Test(plan, shapes_that_depend_on_data_are_refused) {
    xnor_value_id counts = NODE(&odd, XNOR_OP_CAST, odd_input());
    builder_attr(&odd, XNOR_ATTR_TO, I(XNOR_I64));
    xnor_value_id one = NODE(&odd, XNOR_OP_REDUCE_MAX, counts);
    builder_attr(&odd, XNOR_ATTR_KEEPDIMS, I(0));
    xnor_value_id size = NODE(&odd, XNOR_OP_UNSQUEEZE, one, builder_ints(&odd, I(0)));
    expect_refusal(NODE(&odd, XNOR_OP_CONSTANT_OF_SHAPE, size), XNOR_E_UNSUPPORTED,
                   "its shape depends on data");
}

Test(plan, a_plan_of_many_gigabytes_is_refused) {
    xnor_value_id wide = NODE(&odd, XNOR_OP_UNSQUEEZE, odd_input(), builder_ints(&odd, I(0)));
    wide = NODE(&odd, XNOR_OP_EXPAND, wide, builder_ints(&odd, I(1 << 30, 1, 1)));
    expect_refusal(NODE(&odd, XNOR_OP_RELU, wide), XNOR_E_LIMIT, "bytes");
}

Test(plan, sizes_that_overflow_are_refused) {
    xnor_value_id wide = NODE(&odd, XNOR_OP_UNSQUEEZE, odd_input(), builder_ints(&odd, I(0, 1)));
    wide = NODE(&odd, XNOR_OP_EXPAND, wide,
                builder_ints(&odd, I(INT64_C(1) << 40, INT64_C(1) << 40, 1, 1)));
    expect_refusal(NODE(&odd, XNOR_OP_RELU, wide), XNOR_E_LIMIT, "is too large");
}
