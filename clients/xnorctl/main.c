// xnorctl: the shell client of xnord.
#include "clients/xnorctl/commands.h"

#include <stdio.h>
#include <string.h>

#include "include/xnor.h"

static void print_help(FILE *stream) {
    fprintf(stream, "Usage: xnorctl COMMAND ARGUMENTS...\n\nCommands:\n");
    for (size_t i = 0; i < command_count; i++)
        fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(stream,
            "\n'xnorctl COMMAND --help' tells the options of a command.\n"
            "Exit codes: 0 ok, 1 some inputs failed, 2 usage, 3 cannot reach the daemon.\n");
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return XNORCTL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return XNORCTL_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("xnorctl %s\n", XNOR_VERSION);
        return XNORCTL_OK;
    }
    const command *chosen = command_find(argv[1]);
    if (chosen) return chosen->run(argc - 1, argv + 1);
    fprintf(stderr, "xnorctl: unknown command '%s'\nTry 'xnorctl --help'.\n", argv[1]);
    return XNORCTL_USAGE;
}

int main(int argc, char **argv) {
    const int code = dispatch(argc, argv);
    // A full disk must not look like success.
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == XNORCTL_OK) {
        perror("xnorctl: standard output");
        return XNORCTL_FAILED;
    }
    return code;
}
