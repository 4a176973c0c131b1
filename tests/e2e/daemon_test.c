// End-to-end tests of xnord: starts the real program on private sockets and looks at it from
// outside.
//   XNORD_BIN          the program
//   XNORD_TEST_SEGMENT folder with segment.xnor, any_size.xnor, two.xnor, image.xnor and fixed.xnor, made from tests/e2e/*.onnx
//   XNORD_TEST_MODELS  folder with pointnet-modelnet10/pointnet-modelnet10.xnor
// Arguments name groups to run; none means all.
#include "groups.h"
#include "harness.h"

#include <signal.h>
#include <string.h>

static const struct {
    const char *name;
    void (*run)(void);
} groups[] = {
    {"service", test_service}, {"bad_input", test_bad_input}, {"hostile", test_hostile},
    {"life", test_life},       {"segment", test_segment},     {"image", test_image},
    {"outputs", test_outputs},
};

static bool chosen(const char *name, int argc, char **argv) {
    bool found = argc < 2;
    for (int i = 1; i < argc; i++) found = found || strcmp(argv[i], name) == 0;
    return found;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (chosen(groups[i].name, argc, argv)) groups[i].run();
    return finish_tests();
}
