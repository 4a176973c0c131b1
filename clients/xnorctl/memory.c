#include "clients/xnorctl/memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/xnorctl/commands.h"

void *memory_check(void *memory) {
    if (memory) return memory;
    fprintf(stderr, "xnorctl: out of memory\n");
    exit(XNORCTL_FAILED);
}
