// Command-line options from a table that also gives the help text.
#ifndef XNORCTL_OPTIONS_H
#define XNORCTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_LIST_MAX 64

typedef struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t count;
} option_list;

typedef enum option_kind {
    OPTION_FLAG,   // bool *target becomes true
    OPTION_TEXT,   // const char **target
    OPTION_NUMBER, // uint64_t *target, min..max
    OPTION_CHOICE, // size_t *target becomes the place among `choices`
    OPTION_LIST    // option_list *target; the option may be repeated
} option_kind;

typedef struct option_spec {
    const char *name; // without dashes
    char letter;      // short form, or 0
    option_kind kind;
    void *target;
    const char *argument; // name of the value in the help text; NULL for flags
    const char *help;
    uint64_t min, max;   // of OPTION_NUMBER
    const char *choices; // of OPTION_CHOICE: the words, with '|' between them
} option_spec;

// Continue with the command; any other value of options_parse is an exit code.
#define OPTIONS_CONTINUE (-1)

// Parses the arguments of the command named argv[0]; options and operands may be mixed. On
// OPTIONS_CONTINUE the operands are argv[*operands] to argv[argc - 1]. Answers --help by itself.
int options_parse(const option_spec *specs, size_t spec_count, int argc, char **argv,
                  int *operands);

// Prints "xnorctl COMMAND: message" and where help is, to stderr; returns XNORCTL_USAGE.
int options_usage_error(const char *command_name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
