// Sends one cloud to the daemon and prints the best labels:
//   example MODEL CLOUD.bin     float32 x y z of each point, one after the other
#include <stdio.h>
#include <stdlib.h>
#include <xnord.h>

static float points[1 << 20][3];

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, xnord_last_error());
    return EXIT_FAILURE;
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

    xnord_tensor cloud = xnord_cloud_tensor(model->cloud_input, *points, count);
    xnord_infer_request request = {
        .model = argv[1], .input_count = 1, .inputs = &cloud, .top_k = 3, .deadline_ms = 100};
    if (xnord_infer(client, &request, &result) != XNORD_OK) return fail("infer");

    for (uint32_t i = 0; i < xnord_result_label_count(result); i++) {
        const xnord_label *label = xnord_result_label(result, i);
        printf("%-20s %5.1f %%\n", label->name, (double)label->confidence * 100);
    }
    printf("computed in %lu us\n", (unsigned long)xnord_result_timing(result)->compute_us);
    xnord_result_free(&result);
    xnord_free(model);
    xnord_client_close(&client);
}
