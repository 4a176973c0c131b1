#include "clients/xnorctl/commands.h"

#include <string.h>

const command commands[] = {
#define COMMAND(name, arguments, summary) {#name, arguments, summary, xnorctl_##name},
    XNORCTL_COMMAND_TABLE(COMMAND)
#undef COMMAND
};
const size_t command_count = sizeof commands / sizeof *commands;

const command *command_find(const char *name) {
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}
