#include "graph/print.h"

#include "core/tensor.h"

static void print_typed(const xnor_value *value, FILE *file) {
    char shape[XNOR_SHAPE_TEXT];
    fprintf(file, "%s%s", xnor_dtype_name(value->dtype),
            xnor_shape_text(&value->shape, shape, sizeof shape));
}

static void print_operand(const xnor_graph *graph, xnor_value_id id, FILE *file) {
    if (id == XNOR_NO_VALUE) {
        fputs("-", file);
        return;
    }
    const xnor_value *value = &graph->values[id];
    if (!value->data) {
        fprintf(file, "%%%u", id);
        return;
    }
    const xnor_tensor t = {value->dtype, value->shape, value->data};
    if (xnor_tensor_count(&t) <= 4 && value->shape.rank <= 1) {
        fputs("{", file);
        for (size_t i = 0; i < xnor_tensor_count(&t); i++)
            fprintf(file, "%s%.7g", i ? ", " : "", xnor_tensor_get(&t, i));
        fputs("}", file);
    } else {
        print_typed(value, file);
    }
}

static void print_attrs(const xnor_node *node, FILE *file) {
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const xnor_attr *attr = &node->attrs[i];
        fprintf(file, " %s=", xnor_attr_name(attr->key));
        for (uint32_t k = 0; k < attr->count; k++) {
            if (k) fputs(",", file);
            if (attr->is_float)
                fprintf(file, "%.9g", attr->floats[k]);
            else
                fprintf(file, "%lld", (long long)attr->ints[k]);
        }
    }
}

void xnor_graph_print(const xnor_graph *graph, FILE *file) {
    for (uint32_t i = 0; i < graph->input_count; i++) {
        fprintf(file, "%%%u = input '%s' ", graph->inputs[i], graph->values[graph->inputs[i]].name);
        print_typed(&graph->values[graph->inputs[i]], file);
        fputs("\n", file);
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const xnor_node *node = &graph->nodes[i];
        for (uint32_t k = 0; k < node->output_count; k++)
            fprintf(file, "%s%%%u", k ? ", " : "", node->outputs[k]);
        fprintf(file, " = %s(", xnor_op_name(node->op));
        for (uint32_t k = 0; k < node->input_count; k++) {
            if (k) fputs(", ", file);
            print_operand(graph, node->inputs[k], file);
        }
        fputs(")", file);
        print_attrs(node, file);
        fputs("   # ", file);
        print_typed(&graph->values[node->outputs[0]], file);
        fprintf(file, "  %s\n", node->name);
    }
    for (uint32_t i = 0; i < graph->output_count; i++)
        fprintf(file, "output '%s' = %%%u\n", graph->values[graph->outputs[i]].name,
                graph->outputs[i]);
}
