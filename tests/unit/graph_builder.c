#include "graph_builder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/tensor.h"
#include "exec/reference.h"
#include "format/format.h"
#include "kernels/kernels.h"
#include "passes/passes.h"

static void ok(xnor_status status) {
    cr_assert_eq(status, XNOR_OK, "%s: %s", xnor_status_text(status), xnor_last_error());
}

void builder_init(builder *b, uint64_t seed) {
    xnor_graph_init(&b->graph);
    b->state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
}

void builder_free(builder *b) {
    xnor_graph_free(&b->graph);
}

// SplitMix64 (Steele, Lea, Flood 2014).
uint32_t builder_random(builder *b, uint32_t below) {
    uint64_t z = b->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((z ^ z >> 31) % below);
}

bool builder_once_in(builder *b, uint32_t chance) {
    return builder_random(b, chance) == 0;
}

xnor_value_id builder_input(builder *b, const char *name, xnor_dtype dtype, xnor_shape shape) {
    xnor_value_id id;
    ok(xnor_graph_add_value(&b->graph, name, dtype, &shape, &id));
    b->graph.inputs[b->graph.input_count++] = id;
    return id;
}

xnor_value_id builder_tensor(builder *b, xnor_dtype dtype, xnor_shape shape, const double *values,
                             size_t count) {
    xnor_value_id id;
    void *data;
    char name[32];
    snprintf(name, sizeof name, "constant_%u", b->graph.value_count);
    ok(xnor_graph_add_constant(&b->graph, name, dtype, &shape, &id, &data));
    xnor_tensor t = {dtype, shape, data};
    cr_assert_eq(xnor_tensor_count(&t), count, "the test gives %zu values for %zu elements", count,
                 xnor_tensor_count(&t));
    for (size_t i = 0; i < count; i++) xnor_tensor_set(&t, i, values[i]);
    return id;
}

xnor_value_id builder_floats(builder *b, xnor_shape shape, const double *values, size_t count) {
    return builder_tensor(b, XNOR_F32, shape, values, count);
}

xnor_value_id builder_ints(builder *b, const int64_t *values, uint32_t count) {
    xnor_value_id id;
    void *data;
    xnor_shape shape = {1, {count}};
    ok(xnor_graph_add_constant(&b->graph, "ints", XNOR_I64, &shape, &id, &data));
    if (count) memcpy(data, values, count * sizeof *values);
    return id;
}

xnor_value_id builder_node(builder *b, xnor_op op, const xnor_value_id *inputs,
                           uint32_t inputs_count, uint32_t outputs) {
    xnor_value_id ids[XNOR_MAX_OUTPUTS];
    char name[64];
    snprintf(name, sizeof name, "/%s_%u", xnor_op_name(op), b->graph.node_count);
    for (uint32_t i = 0; i < outputs; i++)
        ok(xnor_graph_add_value(&b->graph, name, XNOR_F32, NULL, &ids[i]));
    ok(xnor_graph_add_node(&b->graph, op, name, inputs, inputs_count, ids, outputs, NULL));
    return ids[0];
}

static xnor_node *last_node(builder *b) {
    return &b->graph.nodes[b->graph.node_count - 1];
}

void builder_attr(builder *b, xnor_attr_key key, const int64_t *values, uint32_t count) {
    ok(xnor_node_set_ints(&b->graph, last_node(b), key, values, count));
}

void builder_attr_float(builder *b, xnor_attr_key key, double value) {
    ok(xnor_node_set_float(&b->graph, last_node(b), key, value));
}

void builder_output(builder *b, xnor_value_id value, const char *name) {
    b->graph.outputs[b->graph.output_count++] = value;
    b->graph.values[value].name = xnor_arena_string(&b->graph.arena, name);
}

// ---- running ------------------------------------------------------------------------------------

void tensors_free(tensors *t) {
    for (uint32_t i = 0; i < t->count; i++) free(t->items[i].data);
    t->count = 0;
}

xnor_tensor *tensors_add(tensors *t, xnor_dtype dtype, xnor_shape shape) {
    size_t bytes = 0;
    ok(xnor_tensor_bytes(dtype, &shape, &bytes));
    xnor_tensor *item = &t->items[t->count++];
    *item = (xnor_tensor){dtype, shape, calloc(bytes + 1, 1)};
    cr_assert_not_null(item->data);
    return item;
}

void builder_reference(const xnor_graph *graph, const tensors *inputs, tensors *outputs) {
    size_t capacity[XNOR_MAX_PORTS];
    *outputs = (tensors){.count = graph->output_count};
    for (uint32_t i = 0; i < graph->output_count; i++) {
        capacity[i] = (size_t)1 << 20;
        outputs->items[i].data = calloc(capacity[i], 1);
        cr_assert_not_null(outputs->items[i].data);
    }
    ok(xnor_reference_run(graph, inputs ? inputs->items : NULL, outputs->items, capacity));
}

xnor_model *builder_model(const xnor_graph *graph, const char *isa) {
    char path[] = "/tmp/graph_builder_XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    xnor_contents contents = {.graph = *graph};
    ok(xnor_format_write(path, &contents));
    xnor_model *model = NULL;
    ok(xnor_model_open(path, isa, &model));
    unlink(path);
    return model;
}

xnor_model *builder_compile(const builder *b, const char *isa, xnor_graph *compiled) {
    xnor_graph graph;
    ok(xnor_graph_clone(&b->graph, &graph));
    ok(xnor_passes_run(&graph, NULL, NULL));
    xnor_model *model = builder_model(&graph, isa);
    if (compiled)
        *compiled = graph;
    else
        xnor_graph_free(&graph);
    return model;
}

xnor_plan *builder_plan(xnor_model *model, const tensors *inputs) {
    xnor_shape shapes[XNOR_MAX_PORTS];
    for (uint32_t i = 0; i < inputs->count; i++) shapes[i] = inputs->items[i].shape;
    xnor_plan *plan = NULL;
    ok(xnor_plan_create(model, shapes, &plan));
    return plan;
}

void builder_run(xnor_model *model, xnor_pool *pool, const tensors *inputs, tensors *outputs) {
    xnor_plan *plan = builder_plan(model, inputs);
    xnor_session *session = NULL;
    ok(xnor_session_create(plan, pool, &session));
    *outputs = (tensors){0};
    for (uint32_t i = 0; i < xnor_model_output_count(model); i++)
        tensors_add(outputs, xnor_model_output(model, i)->dtype, *xnor_plan_output_shape(plan, i));
    ok(xnor_session_run(session, inputs->items, outputs->items, NULL));
    xnor_session_free(&session);
    xnor_plan_unref(&plan);
}

// ---- expectations -------------------------------------------------------------------------------

static void compare(const char *how, const xnor_tensor *found, const xnor_shape *shape,
                    const double *values, size_t count) {
    char want[XNOR_SHAPE_TEXT], have[XNOR_SHAPE_TEXT];
    cr_assert(xnor_shape_equal(&found->shape, shape), "%s: expected shape %s, found %s", how,
              xnor_shape_text(shape, want, sizeof want),
              xnor_shape_text(&found->shape, have, sizeof have));
    cr_assert_eq(xnor_tensor_count(found), count, "%s: the test gives %zu values", how, count);
    for (size_t i = 0; i < count; i++) {
        double x = xnor_tensor_get(found, i), y = values[i];
        bool same = x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= 1e-6 * fmax(1, fabs(y));
        cr_assert(same, "%s: element %zu: expected %.9g, found %.9g", how, i, y, x);
    }
}

// Turns the float constants that nodes use as their data into graph inputs. Parameters that plans
// want to be constant (bounds, scalars, what only shape rules read) are left alone.
static void constants_to_inputs(const builder *from, xnor_graph *graph, tensors *inputs) {
    ok(xnor_graph_clone(&from->graph, graph));
    *inputs = (tensors){0};
    for (uint32_t i = 0; i < graph->value_count; i++) {
        xnor_value *value = &graph->values[i];
        bool dense = value->dtype == XNOR_F32 && value->shape.rank > 0;
        for (uint32_t k = 0; k < value->shape.rank; k++) dense = dense && value->shape.dims[k] > 0;
        if (!value->data || !dense) continue;
        xnor_tensor *input = tensors_add(inputs, value->dtype, value->shape);
        size_t bytes = 0;
        ok(xnor_tensor_bytes(value->dtype, &value->shape, &bytes));
        memcpy(input->data, value->data, bytes);
        value->data = NULL;
        graph->inputs[graph->input_count++] = i;
    }
}

static void expect_plan(const builder *b, bool compiled, const xnor_shape *shape,
                        const double *values, size_t count) {
    builder variable = {0};
    tensors inputs, outputs;
    constants_to_inputs(b, &variable.graph, &inputs);
    xnor_graph graph = {0};
    ok(xnor_graph_verify(&variable.graph));
    xnor_model *model =
        compiled ? builder_compile(&variable, "c", &graph) : builder_model(&variable.graph, "c");
    builder_run(model, NULL, &inputs, &outputs);
    compare(compiled ? "plan of the compiled graph" : "plan", &outputs.items[0], shape, values,
            count);
    tensors_free(&inputs);
    tensors_free(&outputs);
    xnor_model_unref(&model);
    xnor_graph_free(&graph);
    xnor_graph_free(&variable.graph);
}

void builder_expect(builder *b, xnor_value_id y, xnor_shape shape, const double *values,
                    size_t count) {
    b->graph.output_count = 0;
    builder_output(b, y, "y");
    ok(xnor_graph_verify(&b->graph));
    tensors outputs;
    builder_reference(&b->graph, NULL, &outputs);
    compare("reference", &outputs.items[0], &shape, values, count);
    tensors_free(&outputs);
    expect_plan(b, false, &shape, values, count);
    expect_plan(b, true, &shape, values, count);
}

void builder_expect_error(builder *b, xnor_value_id y, xnor_status status, const char *text) {
    b->graph.output_count = 0;
    builder_output(b, y, "y");
    tensors outputs = {.count = 1};
    outputs.items[0].data = calloc(1, 4096);
    const size_t capacity = 4096;
    xnor_status found = xnor_graph_verify(&b->graph);
    if (found == XNOR_OK) found = xnor_reference_run(&b->graph, NULL, outputs.items, &capacity);
    cr_assert_eq(found, status, "expected '%s', found '%s': %s", xnor_status_text(status),
                 xnor_status_text(found), xnor_last_error());
    cr_assert_not_null(strstr(xnor_last_error(), text), "expected '%s' in: %s", text,
                       xnor_last_error());
    tensors_free(&outputs);
}

void builder_pass(builder *b, xnor_status (*pass)(xnor_graph *), const tensors *inputs) {
    tensors before, after;
    ok(xnor_graph_verify(&b->graph));
    builder_reference(&b->graph, inputs, &before);
    ok(pass(&b->graph));
    xnor_graph_compact(&b->graph);
    ok(xnor_graph_verify(&b->graph));
    builder_reference(&b->graph, inputs, &after);
    for (uint32_t i = 0; i < before.count; i++) {
        double distance = tensors_distance(&before.items[i], &after.items[i]);
        cr_assert(distance <= 1e-5, "the pass changed output %u by %g", i, distance);
    }
    tensors_free(&before);
    tensors_free(&after);
}

void builder_inputs(const builder *b, int64_t unknown, tensors *inputs) {
    *inputs = (tensors){0};
    for (uint32_t i = 0; i < b->graph.input_count; i++) {
        const xnor_value *value = &b->graph.values[b->graph.inputs[i]];
        xnor_shape shape = value->shape;
        for (uint32_t k = 0; k < shape.rank; k++)
            if (shape.dims[k] < 0) shape.dims[k] = unknown;
        xnor_tensor *t = tensors_add(inputs, value->dtype, shape);
        size_t count = xnor_tensor_count(t);
        for (size_t k = 0; k < count; k++)
            xnor_tensor_set(t, k, (double)((k * 7 + k / 17 + 3) % 17) / 4 - 2);
    }
}

xnor_value_id builder_numbers(builder *b, xnor_shape shape) {
    size_t count = 1;
    for (uint32_t i = 0; i < shape.rank; i++) count *= (size_t)shape.dims[i];
    double *values = malloc((count + 1) * sizeof *values);
    cr_assert(values);
    for (size_t i = 0; i < count; i++) values[i] = (double)builder_random(b, 2001) / 1000 - 1;
    xnor_value_id id = builder_floats(b, shape, values, count);
    free(values);
    return id;
}

xnor_value_id builder_binary_conv(builder *b, xnor_value_id x, int64_t channels, int64_t outputs) {
    const size_t count = (size_t)(outputs * channels * 9);
    double *weights = malloc((count + 1) * sizeof *weights);
    cr_assert(weights);
    for (size_t i = 0; i < count; i++) weights[i] = builder_random(b, 2) ? 0.5 : -0.5;
    const xnor_shape shape = SHAPE(outputs, channels, 3, 3);
    xnor_value_id y = NODE(b, XNOR_OP_CONV, x, builder_floats(b, shape, weights, count));
    builder_attr(b, XNOR_ATTR_PADS, I(1, 1, 1, 1));
    free(weights);
    return y;
}

xnor_value_id builder_reshape(builder *b, xnor_value_id x, const int64_t *dims, uint32_t rank) {
    return NODE(b, XNOR_OP_RESHAPE, x, builder_ints(b, dims, rank));
}

xnor_value_id builder_unsqueeze(builder *b, xnor_value_id x, int64_t axis) {
    xnor_value_id y = NODE(b, XNOR_OP_UNSQUEEZE, x);
    builder_attr(b, XNOR_ATTR_AXES, &axis, 1);
    return y;
}

void builder_expect_everywhere(const builder *b, xnor_pool *pool, double tolerance, size_t number) {
    tensors inputs, reference = {0}, first = {0};
    builder_inputs(b, 3, &inputs);
    builder_reference(&b->graph, &inputs, &reference);
    const size_t bytes = xnor_tensor_count(&reference.items[0]) * sizeof(float);
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++) {
        tensors outputs = {0};
        xnor_model *model = builder_model(&b->graph, *isa);
        builder_run(model, isa[1] ? NULL : pool, &inputs, &outputs);
        cr_assert_lt(tensors_distance(&outputs.items[0], &reference.items[0]), tolerance,
                     "case %zu, %s", number, *isa);
        if (first.count)
            cr_assert_arr_eq(outputs.items[0].data, first.items[0].data, bytes, "case %zu, %s",
                             number, *isa);
        xnor_model_unref(&model);
        if (first.count)
            tensors_free(&outputs);
        else
            first = outputs;
    }
    tensors_free(&inputs);
    tensors_free(&reference);
    tensors_free(&first);
}

double tensors_distance(const xnor_tensor *a, const xnor_tensor *b) {
    char ta[XNOR_SHAPE_TEXT], tb[XNOR_SHAPE_TEXT];
    cr_assert(xnor_shape_equal(&a->shape, &b->shape), "shapes %s and %s differ",
              xnor_shape_text(&a->shape, ta, sizeof ta), xnor_shape_text(&b->shape, tb, sizeof tb));
    double largest = 0;
    size_t count = xnor_tensor_count(a);
    for (size_t i = 0; i < count; i++) {
        double distance = fabs(xnor_tensor_get(a, i) - xnor_tensor_get(b, i));
        if (!(distance <= largest)) largest = distance; // NaN stays
    }
    return largest;
}

uint32_t graph_count(const xnor_graph *graph, xnor_op op) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) count += graph->nodes[i].op == op;
    return count;
}

const xnor_node *graph_find(const xnor_graph *graph, xnor_op op) {
    const xnor_node *found = NULL;
    for (uint32_t i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == op) {
            cr_assert_null(found, "more than one %s", xnor_op_name(op));
            found = &graph->nodes[i];
        }
    cr_assert_not_null(found, "no %s", xnor_op_name(op));
    return found;
}

double graph_constant(const xnor_graph *graph, const xnor_node *node, uint32_t input,
                      size_t index) {
    cr_assert_lt(input, node->input_count);
    const xnor_value *value = &graph->values[node->inputs[input]];
    const xnor_tensor t = {value->dtype, value->shape, value->data};
    cr_assert_not_null(t.data, "input %u of %s is not constant", input, node->name);
    cr_assert_lt(index, xnor_tensor_count(&t));
    return xnor_tensor_get(&t, index);
}
