// xnorctl models: the daemon's models, or all about one of them.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/xnorctl/commands.h"
#include "clients/xnorctl/connect.h"
#include "clients/xnorctl/json.h"
#include "clients/xnorctl/table.h"

static void print_index(const xnord_model_list *index) {
    static const char *const titles[] = {"MODEL", "VERSION", "STATE", ">FOR", ">KiB", "REASON"};
    if (index->model_count == 0) {
        printf("no models\n");
        return;
    }
    table rows = table_start(titles, sizeof titles / sizeof *titles);
    for (uint32_t i = 0; i < index->model_count; i++) {
        const xnord_model_entry *model = &index->models[i];
        table_cell(&rows, "%s", model->name);
        table_cell(&rows, "%s", *model->version ? model->version : "-");
        table_cell(&rows, "%s", model->state);
        table_cell(&rows, "%s", daemon_format_age(daemon_age_s(model->since_ns)).text);
        table_cell(&rows, "%.1f", (double)model->file_bytes / 1024);
        table_cell(&rows, "%s", model->reason);
    }
    table_print(&rows, stdout);
    table_free(&rows);
}

static void print_index_json(const xnord_model_list *index) {
    for (uint32_t i = 0; i < index->model_count; i++) {
        const xnord_model_entry *model = &index->models[i];
        json j = json_start(stdout);
        json_begin_object(&j, NULL);
        json_string(&j, "name", model->name);
        json_string(&j, "version", model->version);
        json_string(&j, "state", model->state);
        json_string(&j, "reason", model->reason);
        json_uint(&j, "state_s", daemon_age_s(model->since_ns));
        json_uint(&j, "file_bytes", model->file_bytes);
        json_finish(&j);
    }
}

static void print_ports(const char *title, uint32_t count, const xnord_port *ports) {
    for (uint32_t i = 0; i < count; i++) {
        printf("%-9s %s %s [", i ? "" : title, ports[i].name,
               xnord_datatype_name(ports[i].datatype));
        for (uint32_t d = 0; d < ports[i].rank; d++) {
            if (d) printf(", ");
            if (ports[i].shape[d] < 0)
                printf("any");
            else
                printf("%" PRId64, ports[i].shape[d]);
        }
        printf("]\n");
    }
}

static void print_image(const xnord_model_info *model) {
    printf("%-9s to %s, %s%" PRIu64 " x %" PRIu64, "images", model->image_input,
           model->image_multiple_of ? "up to " : "", model->image_width, model->image_height);
    if (model->image_multiple_of) printf(" in multiples of %" PRIu64, model->image_multiple_of);
    printf("\n");
    for (uint32_t i = 0; i < model->image_output_count; i++) {
        const xnord_image_output *o = &model->image_outputs[i];
        printf("%-9s %s, %s", i ? "" : "answers", o->name, o->kind);
        if (o->high_m > 0) printf(", %g to %g m", (double)o->low_m, (double)o->high_m);
        for (uint32_t c = 0; c < o->class_count; c++) printf("%s %s", c ? "," : ":", o->classes[c]);
        printf("\n");
    }
}

static void print_model(const xnord_model_info *model) {
    printf("%-9s %s %s\n", "model", model->name, model->version);
    printf("%-9s %.1f KiB, kernels %s\n", "file", (double)model->file_bytes / 1024, model->isa);
    if (*model->task) printf("%-9s %s\n", "task", model->task);
    print_ports("inputs", model->input_count, model->inputs);
    print_ports("outputs", model->output_count, model->outputs);
    if (*model->cloud_input) {
        const bool segments = strcmp(model->task, "segmentation") == 0;
        printf("%-9s to %s", "clouds", model->cloud_input);
        if (model->cloud_block > 0)
            printf(", in blocks of %g x %g m", (double)model->cloud_block,
                   (double)model->cloud_block);
        if (model->cloud_points)
            printf(segments ? ", %" PRIu64 " points a run" : ", resampled to %" PRIu64 " points",
                   model->cloud_points);
        if (model->cloud_max_points) printf(", at most %" PRIu64, model->cloud_max_points);
        printf("\n");
    }
    if (*model->image_input) print_image(model);
    for (uint32_t i = 0; i < model->class_count; i++)
        printf("%-9s %u %s\n", i ? "" : "classes", i, model->classes[i]);
}

static void put_ports(json *j, const char *key, uint32_t count, const xnord_port *ports) {
    json_begin_array(j, key);
    for (uint32_t i = 0; i < count; i++) {
        json_begin_object(j, NULL);
        json_string(j, "name", ports[i].name);
        json_string(j, "datatype", xnord_datatype_name(ports[i].datatype));
        json_begin_array(j, "shape");
        for (uint32_t d = 0; d < ports[i].rank; d++) json_int(j, NULL, ports[i].shape[d]);
        json_end_array(j);
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_strings(json *j, const char *key, uint32_t count, const char *const *strings) {
    json_begin_array(j, key);
    for (uint32_t i = 0; i < count; i++) json_string(j, NULL, strings[i]);
    json_end_array(j);
}

static void print_model_json(const xnord_model_info *model) {
    json j = json_start(stdout);
    json_begin_object(&j, NULL);
    json_string(&j, "name", model->name);
    json_string(&j, "version", model->version);
    put_strings(&j, "versions", model->version_count, model->versions);
    json_string(&j, "platform", model->platform);
    json_string(&j, "isa", model->isa);
    json_string(&j, "task", model->task);
    json_uint(&j, "file_bytes", model->file_bytes);
    put_ports(&j, "inputs", model->input_count, model->inputs);
    put_ports(&j, "outputs", model->output_count, model->outputs);
    json_string(&j, "cloud_input", model->cloud_input);
    json_uint(&j, "cloud_points", model->cloud_points);
    json_uint(&j, "cloud_max_points", model->cloud_max_points);
    json_float(&j, "cloud_block", model->cloud_block);
    put_strings(&j, "classes", model->class_count, model->classes);
    json_string(&j, "image_input", model->image_input);
    json_uint(&j, "image_width", model->image_width);
    json_uint(&j, "image_height", model->image_height);
    json_uint(&j, "image_multiple_of", model->image_multiple_of);
    json_begin_array(&j, "image_outputs");
    for (uint32_t i = 0; i < model->image_output_count; i++) {
        json_begin_object(&j, NULL);
        json_string(&j, "name", model->image_outputs[i].name);
        json_string(&j, "kind", model->image_outputs[i].kind);
        put_strings(&j, "classes", model->image_outputs[i].class_count,
                    model->image_outputs[i].classes);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_finish(&j);
}

static int show_index(xnord_client *client, bool as_json) {
    xnord_model_list *index = NULL;
    const xnord_status status = xnord_model_index(client, false, &index);
    if (status != XNORD_OK) return daemon_report(xnord_client_url(client), status);
    if (as_json)
        print_index_json(index);
    else
        print_index(index);
    xnord_free(index);
    return XNORCTL_OK;
}

static int show_model(xnord_client *client, const char *name, bool as_json) {
    xnord_model_info *model = NULL;
    const xnord_status status = xnord_model_metadata(client, name, NULL, &model);
    if (status != XNORD_OK) return daemon_report(name, status);
    if (as_json)
        print_model_json(model);
    else
        print_model(model);
    xnord_free(model);
    return XNORCTL_OK;
}

int xnorctl_models(int argc, char **argv) {
    const char *socket = NULL;
    bool as_json = false;
    const option_spec specs[] = {SOCKET_OPTION(&socket), JSON_OPTION(&as_json)};
    int operands;
    int code = options_parse(specs, sizeof specs / sizeof *specs, argc, argv, &operands);
    if (code != OPTIONS_CONTINUE) return code;
    if (argc - operands > 1)
        return options_usage_error(argv[0], "expected at most one model, found '%s'",
                                   argv[operands + 1]);
    xnord_client *client = NULL;
    code = daemon_connect(socket, 0, &client);
    if (code == XNORCTL_OK)
        code = operands < argc ? show_model(client, argv[operands], as_json)
                               : show_index(client, as_json);
    xnord_client_close(&client);
    return code;
}
