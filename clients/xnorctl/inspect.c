// xnorctl inspect: what is in a .xnor file.
#include <inttypes.h>
#include <stdio.h>

#include "clients/xnorctl/commands.h"
#include "clients/xnorctl/json.h"
#include "clients/xnorctl/layers.h"
#include "clients/xnorctl/options.h"
#include "core/tensor.h"
#include "format/metadata.h"
#include "graph/print.h"

static void print_port(const char *kind, const xnor_port *port) {
    char shape[XNOR_SHAPE_TEXT];
    printf("%s '%s' %s%s\n", kind, port->name, xnor_dtype_name(port->dtype),
           xnor_shape_text(&port->shape, shape, sizeof shape));
}

static void print_image(const xnor_description *d) {
    const xnor_image_input *in = &d->image;
    printf("%s version %s: images, %s, ", d->name, d->version, xnor_pixels_name(in->pixels));
    printf(in->multiple_of > 0 ? "up to %" PRId64 " x %" PRId64 ", multiples of %" PRId64
                               : "%" PRId64 " x %" PRId64,
           in->width, in->height, in->multiple_of);
    printf(", %s\n", xnor_resize_name(in->resize));
    for (uint32_t i = 0; i < d->image_output_count; i++) {
        const xnor_image_output *o = &d->image_outputs[i];
        printf("  %s: %s", o->name, xnor_image_kind_name(o->kind));
        if (o->kind == XNOR_IMAGE_DEPTH) printf(", %g to %g m", (double)o->low, (double)o->high);
        if (o->class_count > 0) printf(", %u classes:", o->class_count);
        for (uint32_t c = 0; c < o->class_count; c++) printf(" %s", o->classes[c]);
        printf("\n");
    }
}

static void print_description(const xnor_description *d) {
    printf("%s version %s: %s of clouds, ", d->name, d->version, xnor_task_name(d->task));
    if (d->points > 0)
        printf("%" PRId64 " points", d->points);
    else
        printf("any number of points");
    if (d->resample != XNOR_RESAMPLE_STRIDE) printf(", %s", xnor_resample_name(d->resample));
    if (d->block > 0) printf(", blocks of %g m", (double)d->block);
    printf(", normalise %s, channels", xnor_normalise_name(d->normalise));
    for (uint32_t i = 0; i < d->channel_count; i++)
        printf(" %s", xnor_channel_name(d->channels[i]));
    printf(", %u classes:", d->class_count);
    for (uint32_t i = 0; i < d->class_count; i++) printf(" %s", d->classes[i]);
    printf("\n");
}

static void print_text(xnor_model *model, const xnor_plan *plan, uint32_t golden) {
    const xnor_description *d = xnor_model_description(model);
    for (uint32_t i = 0; i < xnor_model_input_count(model); i++)
        print_port("input", xnor_model_input(model, i));
    for (uint32_t i = 0; i < xnor_model_output_count(model); i++)
        print_port("output", xnor_model_output(model, i));
    if (d->task == XNOR_TASK_NONE) {
        printf("no description: raw tensors only\n");
    } else if (d->task == XNOR_TASK_IMAGE) {
        print_image(d);
    } else {
        print_description(d);
    }
    printf("%u golden pairs, arena %" PRIu64 " bytes\n\n", golden, xnor_plan_arena_bytes(plan));
    layers_print(&plan->graph, xnor_model_file_bytes(model), stdout);
}

static void json_port(json *j, const xnor_port *port) {
    json_begin_object(j, NULL);
    json_string(j, "name", port->name);
    json_string(j, "datatype", xnor_dtype_name(port->dtype));
    json_begin_array(j, "shape");
    for (uint32_t k = 0; k < port->shape.rank; k++) json_int(j, NULL, port->shape.dims[k]);
    json_end_array(j);
    json_end_object(j);
}

static void json_strings(json *j, const char *key, uint32_t count, const char *const *strings) {
    json_begin_array(j, key);
    for (uint32_t i = 0; i < count; i++) json_string(j, NULL, strings[i]);
    json_end_array(j);
}

static void json_cloud(json *j, const xnor_description *d) {
    json_int(j, "points", d->points);
    json_string(j, "resample", xnor_resample_name(d->resample));
    json_string(j, "normalise", xnor_normalise_name(d->normalise));
    json_float(j, "block", d->block);
    json_begin_array(j, "channels");
    for (uint32_t i = 0; i < d->channel_count; i++)
        json_string(j, NULL, xnor_channel_name(d->channels[i]));
    json_end_array(j);
    json_strings(j, "classes", d->class_count, d->classes);
}

static void json_image(json *j, const xnor_description *d) {
    const xnor_image_input *in = &d->image;
    json_string(j, "pixels", xnor_pixels_name(in->pixels));
    json_int(j, "width", in->width);
    json_int(j, "height", in->height);
    json_int(j, "multiple_of", in->multiple_of);
    json_string(j, "resize", xnor_resize_name(in->resize));
    json_begin_array(j, "outputs");
    for (uint32_t i = 0; i < d->image_output_count; i++) {
        const xnor_image_output *o = &d->image_outputs[i];
        json_begin_object(j, NULL);
        json_string(j, "name", o->name);
        json_string(j, "kind", xnor_image_kind_name(o->kind));
        json_strings(j, "classes", o->class_count, o->classes);
        json_end_object(j);
    }
    json_end_array(j);
}

static void print_json(const char *path, xnor_model *model, const xnor_plan *plan,
                       uint32_t golden) {
    const xnor_description *d = xnor_model_description(model);
    json j = json_start(stdout);
    json_begin_object(&j, NULL);
    json_string(&j, "model", path);
    json_begin_array(&j, "inputs");
    for (uint32_t i = 0; i < xnor_model_input_count(model); i++)
        json_port(&j, xnor_model_input(model, i));
    json_end_array(&j);
    json_begin_array(&j, "outputs");
    for (uint32_t i = 0; i < xnor_model_output_count(model); i++)
        json_port(&j, xnor_model_output(model, i));
    json_end_array(&j);
    if (d->task != XNOR_TASK_NONE) {
        json_begin_object(&j, "description");
        json_string(&j, "name", d->name);
        json_string(&j, "version", d->version);
        json_string(&j, "task", xnor_task_name(d->task));
        if (d->task == XNOR_TASK_IMAGE)
            json_image(&j, d);
        else
            json_cloud(&j, d);
        json_end_object(&j);
    }
    json_uint(&j, "golden_pairs", golden);
    json_uint(&j, "arena_bytes", xnor_plan_arena_bytes(plan));
    layers_json(&plan->graph, xnor_model_file_bytes(model), stdout);
    json_finish(&j);
}

int xnorctl_inspect(int argc, char **argv) {
    bool graph = false, as_json = false;
    uint64_t points = 1024;
    const option_spec specs[] = {
        {.name = "graph", .kind = OPTION_FLAG, .target = &graph, .help = "print the graph"},
        {.name = "points",
         .kind = OPTION_NUMBER,
         .target = &points,
         .argument = "N",
         .help = "size of open axes (1024)",
         .min = 1,
         .max = 1 << 24},
        {.name = "json", .kind = OPTION_FLAG, .target = &as_json, .help = "print one JSON object"},
    };
    int operands;
    const int parsed = options_parse(specs, sizeof specs / sizeof *specs, argc, argv, &operands);
    if (parsed != OPTIONS_CONTINUE) return parsed;
    if (argc - operands != 1) return options_usage_error(argv[0], "expected one .xnor file");

    const char *path = argv[operands];
    xnor_model *model = NULL;
    xnor_plan *plan = NULL;
    xnor_shape shapes[XNOR_MAX_PORTS];
    uint32_t golden = 0;
    xnor_status status = xnor_model_open(path, NULL, &model);
    if (status == XNOR_OK) {
        layers_default_shapes(model, (int64_t)points, shapes);
        status = xnor_plan_create(model, shapes, &plan);
    }
    if (status == XNOR_OK) status = xnor_model_self_test(model, &golden);
    if (status != XNOR_OK)
        fprintf(stderr, "xnorctl inspect: %s\n", xnor_last_error());
    else if (graph)
        xnor_graph_print(&model->contents.graph, stdout);
    else if (as_json)
        print_json(path, model, plan, golden);
    else
        print_text(model, plan, golden);
    if (plan) xnor_plan_unref(&plan);
    if (model) xnor_model_unref(&model);
    return status == XNOR_OK ? XNORCTL_OK : XNORCTL_FAILED;
}
