// xnorctl infer: sends clouds or images to the daemon and prints what comes back.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clients/xnorctl/cloud.h"
#include "clients/xnorctl/commands.h"
#include "clients/xnorctl/connect.h"
#include "clients/xnorctl/files.h"
#include "clients/xnorctl/image.h"
#include "clients/xnorctl/infer_output.h"
#include "clients/xnorctl/memory.h"
#include "clients/xnorctl/progress.h"
#include "core/status.h"

// A slow machine takes a while for a part of a scene.
#define ANSWER_MS 30000

typedef struct infer_arguments {
    const char *model;
    const char *socket;
    const char *out_folder;
    uint64_t top_k;
    uint64_t deadline_ms;
    uint64_t sample_points;
    size_t up_axis; // place in "z|y"
    option_list outputs;
    bool json;
} infer_arguments;

enum { NAME_BYTES = 128 };

// What to ask of an image. Depth is wanted as its file has it.
typedef struct wanted {
    uint32_t count;
    const char *names[XNORD_MAX_TENSORS];
    char texts[XNORD_MAX_TENSORS][NAME_BYTES];
} wanted;

typedef struct infer_run {
    const infer_arguments *arguments;
    xnord_client *client;
    xnord_model_info *model;
    uint32_t in_flight; // parts of a scene at the same time
    wanted wanted;      // of an image
    infer_output output;
    progress bar;
} infer_run;

static int parse(int argc, char **argv, infer_arguments *a, int *operands) {
    const option_spec specs[] = {
        SOCKET_OPTION(&a->socket),
        {.name = "top-k",
         .letter = 'k',
         .kind = OPTION_NUMBER,
         .target = &a->top_k,
         .argument = "K",
         .help = "labels to show for each file (1)",
         .min = 1,
         .max = XNORD_MAX_TOP_K},
        {.name = "deadline-ms",
         .kind = OPTION_NUMBER,
         .target = &a->deadline_ms,
         .argument = "D",
         .help = "refuse answers later than this (no deadline)",
         .min = 1,
         .max = 3600000},
        {.name = "sample-points",
         .kind = OPTION_NUMBER,
         .target = &a->sample_points,
         .argument = "N",
         .help = "points to draw from a mesh (4096)",
         .min = 1,
         .max = CLOUD_MAX_POINTS},
        {.name = "up",
         .kind = OPTION_CHOICE,
         .target = &a->up_axis,
         .argument = "AXIS",
         .choices = "z|y",
         .help = "up axis of the files: z (default), or y, which is turned to z"},
        {.name = "out",
         .kind = OPTION_TEXT,
         .target = &a->out_folder,
         .argument = "DIR",
         .help = "also write DIR/FILE.json, labelled points as .labels.ply and .top.png, and maps "
                 "of images as .NAME.png"},
        {.name = "outputs",
         .kind = OPTION_LIST,
         .target = &a->outputs,
         .argument = "NAME",
         .help = "what is wanted of an image: NAME or NAME.FORM, several with commas (all)"},
        JSON_OPTION(&a->json),
    };
    const int code = options_parse(specs, sizeof specs / sizeof *specs, argc, argv, operands);
    if (code != OPTIONS_CONTINUE) return code;
    if (argc - *operands < 2)
        return options_usage_error(argv[0], "expected a model and at least one file");
    a->model = argv[*operands];
    return OPTIONS_CONTINUE;
}

static int compare_base_names(const void *a, const void *b) {
    return strcmp(files_base_name(*(char *const *)a), files_base_name(*(char *const *)b));
}

// --out names results by the files' base names; two equal ones would overwrite each other.
static int check_base_names(const file_list *files) {
    char **sorted = memory_check(malloc((files->count + 1) * sizeof *sorted));
    memcpy(sorted, files->paths, files->count * sizeof *sorted);
    qsort(sorted, files->count, sizeof *sorted, compare_base_names);
    int code = XNORCTL_OK;
    for (size_t i = 1; i < files->count && code == XNORCTL_OK; i++)
        if (compare_base_names(&sorted[i - 1], &sorted[i]) == 0)
            code = options_usage_error("infer", "--out: %s and %s would be written to one file",
                                       sorted[i - 1], sorted[i]);
    free(sorted);
    return code;
}

static bool want(const xnord_model_info *model, const char *name, size_t length, wanted *out) {
    if (length == 0 || length >= NAME_BYTES || out->count == XNORD_MAX_TENSORS) return false;
    char *text = out->texts[out->count];
    snprintf(text, NAME_BYTES, "%.*s", (int)length, name);
    for (uint32_t i = 0; i < model->image_output_count; i++)
        if (strcmp(model->image_outputs[i].name, text) == 0 &&
            strcmp(model->image_outputs[i].kind, "depth") == 0)
            snprintf(text, NAME_BYTES, "%s.millimetres", model->image_outputs[i].name);
    out->names[out->count++] = text;
    return true;
}

static bool want_all(const infer_run *run, wanted *out) {
    const xnord_model_info *model = run->model;
    const option_list *list = &run->arguments->outputs;
    bool good = true;
    out->count = 0;
    for (uint32_t i = 0; list->count == 0 && i < model->image_output_count; i++)
        good = want(model, model->image_outputs[i].name, strlen(model->image_outputs[i].name), out);
    for (size_t i = 0; i < list->count && good; i++)
        for (const char *at = list->items[i]; good; at++) {
            const size_t length = strcspn(at, ",");
            good = want(model, at, length, out);
            at += length;
            if (*at == '\0') break;
        }
    return good;
}

static int open_model(infer_run *run) {
    const infer_arguments *a = run->arguments;
    const int code = daemon_connect(a->socket, ANSWER_MS, &run->client);
    if (code != XNORCTL_OK) return code;
    const xnord_status status = xnord_model_metadata(run->client, a->model, NULL, &run->model);
    if (status != XNORD_OK) return daemon_report(a->model, status);
    if (*run->model->cloud_input && run->model->class_count) return XNORCTL_OK;
    if (infer_output_is_image(run->model)) {
        if (want_all(run, &run->wanted)) return XNORCTL_OK;
        return options_usage_error("infer",
                                   "--outputs: expected at most %d names, each of 1 to %d "
                                   "letters",
                                   XNORD_MAX_TENSORS, NAME_BYTES - 1);
    }
    fprintf(stderr, "%s: expected a model of point clouds or images, found %s\n", a->model,
            *run->model->task ? run->model->task : "one without a description");
    return XNORCTL_FAILED;
}

static xnord_status send_cloud(infer_run *run, const cloud *points, xnord_result **result) {
    const infer_arguments *a = run->arguments;
    const xnord_tensor input =
        xnord_cloud_tensor(run->model->cloud_input, points->xyz, points->count);
    const uint32_t classes = run->model->class_count;
    const xnord_infer_request request = {
        .model = a->model,
        .input_count = 1,
        .inputs = &input,
        .top_k = a->top_k < classes ? (uint32_t)a->top_k : classes,
        .deadline_ms = (uint32_t)a->deadline_ms,
    };
    return xnord_infer(run->client, &request, result);
}

// As many parts as the daemon runs at the same time.
static uint32_t parts_in_flight(xnord_client *client) {
    xnord_server_info *server = NULL;
    uint32_t workers = 1;
    if (xnord_server_metadata(client, &server) == XNORD_OK && server->workers > 0)
        workers = server->workers;
    xnord_free(server);
    return workers + 1; // one on its way
}

static int infer_scene(infer_run *run, const char *path, const cloud *points) {
    const scene_options options = {.title = files_base_name(path),
                                   .deadline_ms = (uint32_t)run->arguments->deadline_ms,
                                   .in_flight = run->in_flight};
    char message[512] = "";
    scene_labels scene = {0};
    progress_clear(&run->bar);
    const xnord_status status =
        scene_segment(run->client, run->model, points, &options, &scene, message, sizeof message);
    if (status != XNORD_OK) {
        fprintf(stderr, "%s: %s\n", path, message);
        infer_output_failure(&run->output, path, xnord_status_name(status), message);
        return daemon_exit_code(status);
    }
    const int code = infer_output_scene(&run->output, path, points, &scene);
    scene_free(&scene);
    return code;
}

static int infer_cloud(infer_run *run, const char *path, const cloud *points) {
    xnord_result *result = NULL;
    const xnord_status status = send_cloud(run, points, &result);
    int code = XNORCTL_OK;
    if (status == XNORD_OK) {
        code = infer_output_result(&run->output, path, points, result);
    } else {
        progress_clear(&run->bar);
        code = daemon_report(path, status);
        infer_output_failure(&run->output, path, xnord_status_name(status), xnord_last_error());
    }
    xnord_result_free(&result);
    return code;
}

// The answers must be there as well, and some of them have more bytes than the image.
#define MESSAGE_OVERHEAD 4096

static xnord_status send_image(infer_run *run, const image *in, xnord_result **result) {
    const xnord_tensor input =
        xnord_image_tensor(run->model->image_input, in->pixels, in->width, in->height, 3, 0);
    const xnord_infer_request request = {
        .model = run->arguments->model,
        .input_count = 1,
        .inputs = &input,
        .output_count = run->wanted.count,
        .outputs = run->wanted.names,
        .deadline_ms = (uint32_t)run->arguments->deadline_ms,
    };
    return xnord_infer(run->client, &request, result);
}

static int infer_image(infer_run *run, const char *path, const image *in) {
    xnord_result *answer = NULL;
    int code = XNORCTL_OK;
    const xnord_status status = send_image(run, in, &answer);
    const image_result result = {path, in, run->model, answer};
    if (status != XNORD_OK) {
        progress_clear(&run->bar);
        code = daemon_report(path, status);
        infer_output_failure(&run->output, path, xnord_status_name(status), xnord_last_error());
    } else if (image_result_check(&result) != XNOR_OK) {
        progress_clear(&run->bar);
        fprintf(stderr, "%s: %s\n", path, xnor_last_error());
        infer_output_failure(&run->output, path, xnord_status_name(XNORD_E_PROTOCOL),
                             xnor_last_error());
        code = XNORCTL_FAILED;
    } else {
        code = infer_output_image(&run->output, &result);
    }
    xnord_result_free(&answer);
    return code;
}

// Larger images than a message holds are made smaller, and so are their maps.
static xnor_status read_image(infer_run *run, const char *path, image *out) {
    XNOR_TRY(image_read(path, out));
    const size_t width = out->width, height = out->height;
    const size_t most = (size_t)(xnord_client_max_message(run->client) - MESSAGE_OVERHEAD) / 3;
    XNOR_TRY(image_shrink(out, most));
    if (out->width == width && out->height == height) return XNOR_OK;
    progress_clear(&run->bar);
    fprintf(stderr, "%s: made smaller for the daemon, from %zu x %zu to %zu x %zu\n", path, width,
            height, out->width, out->height);
    return XNOR_OK;
}

static int infer_image_file(infer_run *run, const char *path) {
    image in = {0};
    int code = XNORCTL_FAILED;
    if (read_image(run, path, &in) == XNOR_OK) {
        code = infer_image(run, path, &in);
    } else {
        progress_clear(&run->bar);
        fprintf(stderr, "%s\n", xnor_last_error());
        infer_output_failure(&run->output, path, "INVALID_FILE", xnor_last_error());
    }
    image_free(&in);
    return code;
}

static int infer_file(infer_run *run, const char *path) {
    const infer_arguments *a = run->arguments;
    if (infer_output_is_image(run->model)) return infer_image_file(run, path);
    const cloud_options options = {.sample_points = a->sample_points, .y_up = a->up_axis == 1};
    cloud points;
    if (cloud_read(path, &options, &points) != XNOR_OK) {
        progress_clear(&run->bar);
        fprintf(stderr, "%s\n", xnor_last_error());
        infer_output_failure(&run->output, path, "INVALID_FILE", xnor_last_error());
        return XNORCTL_FAILED;
    }
    if (points.dropped) {
        progress_clear(&run->bar);
        fprintf(stderr, "%s: left out %zu of %zu points with a NaN or infinite coordinate\n", path,
                points.dropped, points.dropped + points.count);
    }
    const int code = infer_output_is_scene(run->model) ? infer_scene(run, path, &points)
                                                       : infer_cloud(run, path, &points);
    cloud_free(&points);
    return code;
}

static int infer_files(infer_run *run, const file_list *files) {
    int code = files->failed ? XNORCTL_FAILED : XNORCTL_OK;
    run->bar = progress_start(run->arguments->model, files->count);
    for (size_t i = 0; i < files->count; i++) {
        int file_code = infer_file(run, files->paths[i]);
        const bool lost =
            file_code == XNORCTL_NO_DAEMON && !daemon_is_there(xnord_client_url(run->client));
        if (file_code == XNORCTL_NO_DAEMON && !lost) file_code = XNORCTL_FAILED; // once too slow
        if (file_code > code) code = file_code;
        // Without a daemon the other files would only fail one time-out after the other.
        if (lost) {
            progress_clear(&run->bar);
            if (i + 1 < files->count)
                fprintf(stderr, "xnorctl: the daemon is gone; %zu files were not sent\n",
                        files->count - i - 1);
            break;
        }
        progress_step(&run->bar);
    }
    progress_clear(&run->bar);
    return code;
}

static int prepare_folder(const char *folder, const file_list *files) {
    const int code = check_base_names(files);
    if (code != XNORCTL_OK || mkdir(folder, 0777) == 0 || errno == EEXIST) return code;
    fprintf(stderr, "%s: %s\n", folder, strerror(errno));
    return XNORCTL_FAILED;
}

int xnorctl_infer(int argc, char **argv) {
    infer_arguments arguments = {.top_k = 1, .sample_points = CLOUD_DEFAULT_SAMPLE_POINTS};
    int operands;
    int code = parse(argc, argv, &arguments, &operands);
    if (code != OPTIONS_CONTINUE) return code;

    infer_run run = {.arguments = &arguments};
    file_list files = {0};
    code = open_model(&run);
    if (code == XNORCTL_OK) {
        files =
            files_expand(argv + operands + 1, (size_t)(argc - operands - 1),
                         infer_output_is_image(run.model) ? image_is_readable : cloud_is_readable);
        if (arguments.out_folder) code = prepare_folder(arguments.out_folder, &files);
    }
    if (code == XNORCTL_OK) {
        run.output =
            infer_output_start(arguments.json, arguments.out_folder, arguments.top_k, run.model);
        run.in_flight = parts_in_flight(run.client);
        code = infer_files(&run, &files);
        infer_output_finish(&run.output);
    }
    xnord_free(run.model);
    xnord_client_close(&run.client);
    files_free(&files);
    return code;
}
