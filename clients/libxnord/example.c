// Sends one cloud to the daemon and prints the best labels, or how many points got which:
//   example MODEL CLOUD.bin     float32 x y z of each point, one after the other
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xnord.h>

static float points[1 << 20][3];

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, xnord_last_error());
    return EXIT_FAILURE;
}

// Of the cloud as a whole.
static void print_labels(const xnord_result *result) {
    for (uint32_t i = 0; i < xnord_result_label_count(result); i++) {
        const xnord_label *label = xnord_result_label(result, i);
        printf("%-20s %5.1f %%\n", label->name, (double)label->confidence * 100);
    }
}

// Of its points, in the order in which they were sent.
static void print_point_labels(const xnord_result *result, const xnord_model_info *model) {
    size_t count = 0, totals[256] = {0};
    const uint8_t *labels = xnord_result_point_labels(result, &count);
    for (size_t i = 0; i < count; i++) totals[labels[i]]++;
    for (uint32_t i = 0; i < model->class_count; i++)
        printf("%-20s %zu points\n", model->classes[i], totals[i]);
}

int main(int argc, char **argv) {
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: example MODEL CLOUD.bin\n");
        return 2;
    }
    size_t count = fread(points, sizeof *points, sizeof points / sizeof *points, file);
    fclose(file);

    xnord_client *client;
    xnord_model_info *model;
    xnord_result *result;
    if (xnord_client_open(NULL, NULL, &client) != XNORD_OK) return fail("connect");
    if (xnord_model_metadata(client, argv[1], NULL, &model) != XNORD_OK) return fail(argv[1]);

    bool segments = strcmp(model->task, "segmentation") == 0;
    xnord_tensor cloud = xnord_cloud_tensor(model->cloud_input, *points, count);
    xnord_infer_request request = {.model = argv[1],
                                   .input_count = 1,
                                   .inputs = &cloud,
                                   .top_k = segments ? 0 : 3,
                                   .deadline_ms = segments ? 2000 : 100};
    if (xnord_infer(client, &request, &result) != XNORD_OK) return fail("infer");

    if (segments)
        print_point_labels(result, model);
    else
        print_labels(result);
    printf("computed in %lu us\n", (unsigned long)xnord_result_timing(result)->compute_us);
    xnord_result_free(&result);
    xnord_free(model);
    xnord_client_close(&client);
}
