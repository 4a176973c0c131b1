#include "clients/xnorctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/commands.h"

#define MAX_SPECS 32
#define LONG_BASE 256 // getopt_long's values of long options, above every short one
#define HELP_COLUMN 28

int options_usage_error(const char *command_name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "xnorctl %s: ", command_name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nTry 'xnorctl %s --help'.\n", command_name);
    va_end(args);
    return XNORCTL_USAGE;
}

static void print_option(char letter, const char *name, const char *argument, const char *help) {
    char left[80];
    if (letter)
        snprintf(left, sizeof left, "-%c, --%s %s", letter, name, argument ? argument : "");
    else
        snprintf(left, sizeof left, "    --%s %s", name, argument ? argument : "");
    printf("  %-*s %s\n", HELP_COLUMN, left, help);
}

static void print_help(const char *name, const option_spec *specs, size_t spec_count) {
    const command *self = command_find(name);
    printf("Usage: xnorctl %s %s\n", name, self ? self->usage : "");
    if (self) printf("%c%s.\n", self->summary[0] - 'a' + 'A', self->summary + 1);
    printf("\nOptions:\n");
    for (size_t i = 0; i < spec_count; i++)
        print_option(specs[i].letter, specs[i].name, specs[i].argument, specs[i].help);
    print_option(0, "help", NULL, "show this text");
}

static int store_number(const char *command_name, const option_spec *spec, const char *text) {
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    const bool digits = *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
    if (!digits || value < spec->min || value > spec->max)
        return options_usage_error(
            command_name, "--%s: expected a whole number from %llu to %llu, found '%s'", spec->name,
            (unsigned long long)spec->min, (unsigned long long)spec->max, text);
    *(uint64_t *)spec->target = value;
    return OPTIONS_CONTINUE;
}

static int store_choice(const char *command_name, const option_spec *spec, const char *text) {
    const size_t size = strlen(text);
    const char *word = spec->choices;
    for (size_t index = 0; word; index++) {
        const char *bar = strchrnul(word, '|');
        if ((size_t)(bar - word) == size && memcmp(word, text, size) == 0) {
            *(size_t *)spec->target = index;
            return OPTIONS_CONTINUE;
        }
        word = *bar ? bar + 1 : NULL;
    }
    return options_usage_error(command_name, "--%s: expected one of %s, found '%s'", spec->name,
                               spec->choices, text);
}

static int store(const char *command_name, const option_spec *spec, const char *text) {
    option_list *list = spec->target;
    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *)spec->target = true;
        return OPTIONS_CONTINUE;
    case OPTION_TEXT:
        *(const char **)spec->target = text;
        return OPTIONS_CONTINUE;
    case OPTION_NUMBER:
        return store_number(command_name, spec, text);
    case OPTION_CHOICE:
        return store_choice(command_name, spec, text);
    case OPTION_LIST:
        break;
    }
    if (list->count == OPTION_LIST_MAX)
        return options_usage_error(command_name, "--%s: expected at most %d of them", spec->name,
                                   OPTION_LIST_MAX);
    list->items[list->count++] = text;
    return OPTIONS_CONTINUE;
}

static int report_unknown(const char *command_name, int kind, char **argv) {
    const char *what = kind == ':' ? "expected a value after" : "unknown option";
    if (optopt > 0 && optopt < LONG_BASE && kind == '?')
        return options_usage_error(command_name, "%s '-%c'", what, optopt);
    return options_usage_error(command_name, "%s '%s'", what, argv[optind - 1]);
}

// The tables that getopt_long wants, made from ours.
typedef struct getopt_tables {
    struct option longs[MAX_SPECS + 2];
    char shorts[2 * MAX_SPECS + 2];
} getopt_tables;

static getopt_tables make_tables(const option_spec *specs, size_t spec_count) {
    getopt_tables tables = {.shorts = ":"};
    size_t used = 1;
    for (size_t i = 0; i < spec_count; i++) {
        const int has_value = specs[i].kind == OPTION_FLAG ? no_argument : required_argument;
        tables.longs[i] = (struct option){specs[i].name, has_value, NULL, LONG_BASE + (int)i};
        if (!specs[i].letter) continue;
        tables.shorts[used++] = specs[i].letter;
        if (has_value != no_argument) tables.shorts[used++] = ':';
    }
    tables.longs[spec_count] =
        (struct option){"help", no_argument, NULL, LONG_BASE + (int)spec_count};
    return tables;
}

int options_parse(const option_spec *specs, size_t spec_count, int argc, char **argv,
                  int *operands) {
    if (spec_count > MAX_SPECS) abort();
    const getopt_tables tables = make_tables(specs, spec_count);
    optind = 0; // GNU: start afresh
    opterr = 0;
    int found;
    while ((found = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
        if (found == '?' || found == ':') return report_unknown(argv[0], found, argv);
        size_t index = 0;
        if (found >= LONG_BASE)
            index = (size_t)(found - LONG_BASE);
        else
            while (specs[index].letter != found) index++;
        if (index == spec_count) {
            print_help(argv[0], specs, spec_count);
            return XNORCTL_OK;
        }
        const int code = store(argv[0], &specs[index], optarg);
        if (code != OPTIONS_CONTINUE) return code;
    }
    *operands = optind;
    return OPTIONS_CONTINUE;
}
