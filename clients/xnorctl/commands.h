// The commands of xnorctl. Each parses its own arguments (argv[0] is the command's name), prints
// results to stdout and diagnostics to stderr, and returns an exit code.
#ifndef XNORCTL_COMMANDS_H
#define XNORCTL_COMMANDS_H

#include <stddef.h>

enum {
    XNORCTL_OK = 0,
    XNORCTL_FAILED = 1,    // some inputs failed
    XNORCTL_USAGE = 2,     // wrong arguments
    XNORCTL_NO_DAEMON = 3, // cannot reach the daemon
};

// X(name, arguments, summary)
#define XNORCTL_COMMAND_TABLE(X)                                                                   \
    X(compile, "MODEL.onnx -o MODEL.xnor [OPTIONS]", "compile an ONNX model to a .xnor file")      \
    X(inspect, "MODEL.xnor [OPTIONS]", "show what is in a .xnor file")                             \
    X(run, "MODEL.xnor --input NAME=FILE.npy ... --output-dir DIR [OPTIONS]",                      \
      "run a .xnor file here, without a daemon")                                                   \
    X(infer, "MODEL FILE... [OPTIONS]", "have the daemon label point clouds, meshes and images")   \
    X(status, "[OPTIONS]", "show the daemon: version, uptime, models, counts")                     \
    X(models, "[MODEL] [OPTIONS]", "list the daemon's models, or describe one")                    \
    X(sample, "MESH -o FILE [OPTIONS]", "draw points from the surface of a mesh")

#define XNORCTL_DECLARE(name, arguments, summary) int xnorctl_##name(int argc, char **argv);
XNORCTL_COMMAND_TABLE(XNORCTL_DECLARE)
#undef XNORCTL_DECLARE

typedef struct command {
    const char *name;
    const char *usage; // arguments
    const char *summary;
    int (*run)(int argc, char **argv);
} command;

extern const command commands[];
extern const size_t command_count;

// NULL: no command of that name.
const command *command_find(const char *name);

#endif
