// xnorctl sample: points from the surface of a mesh.
#include "clients/xnorctl/cloud.h"
#include "clients/xnorctl/commands.h"
#include "clients/xnorctl/options.h"

#include <stdio.h>

typedef struct sample_arguments {
    const char *mesh_path;
    const char *output;
    uint64_t points;
    uint64_t seed;
    size_t up_axis; // place in "z|y"
} sample_arguments;

static int parse(int argc, char **argv, sample_arguments *a) {
    const option_spec specs[] = {
        {.name = "output",
         .letter = 'o',
         .kind = OPTION_TEXT,
         .target = &a->output,
         .argument = "FILE",
         .help = "file to write: .ply, .pcd, .npy or .xyz"},
        {.name = "points",
         .kind = OPTION_NUMBER,
         .target = &a->points,
         .argument = "N",
         .help = "points to draw (4096)",
         .min = 1,
         .max = CLOUD_MAX_POINTS},
        {.name = "seed",
         .kind = OPTION_NUMBER,
         .target = &a->seed,
         .argument = "S",
         .help = "seed of the drawing (0); the same seed gives the same points",
         .max = UINT64_MAX},
        {.name = "up",
         .kind = OPTION_CHOICE,
         .target = &a->up_axis,
         .argument = "AXIS",
         .choices = "z|y",
         .help = "up axis of the mesh: z (default), or y, which is turned to z"},
    };
    int operands;
    const int code = options_parse(specs, sizeof specs / sizeof *specs, argc, argv, &operands);
    if (code != OPTIONS_CONTINUE) return code;
    if (argc - operands != 1) return options_usage_error(argv[0], "expected one mesh");
    if (!a->output) return options_usage_error(argv[0], "expected --output FILE");
    a->mesh_path = argv[operands];
    return OPTIONS_CONTINUE;
}

static int fail(void) {
    fprintf(stderr, "%s\n", xnor_last_error());
    return XNORCTL_FAILED;
}

int xnorctl_sample(int argc, char **argv) {
    sample_arguments a = {.points = CLOUD_DEFAULT_SAMPLE_POINTS};
    const int code = parse(argc, argv, &a);
    if (code != OPTIONS_CONTINUE) return code;
    const cloud_options options = {
        .sample_points = a.points, .seed = a.seed, .y_up = a.up_axis == 1};
    cloud drawn;
    if (cloud_read(a.mesh_path, &options, &drawn) != XNOR_OK) return fail();
    int result = XNORCTL_OK;
    if (!drawn.sampled) {
        fprintf(stderr, "%s: expected a mesh with faces, found %zu points\n", a.mesh_path,
                drawn.count);
        result = XNORCTL_FAILED;
    } else if (cloud_write(a.output, &drawn) != XNOR_OK) {
        result = fail();
    }
    cloud_free(&drawn);
    return result;
}
