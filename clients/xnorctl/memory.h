// Memory for the command line itself: names, cells, lists. Too little of it ends the program.
#ifndef XNORCTL_MEMORY_H
#define XNORCTL_MEMORY_H

// Returns `memory`, which a malloc-like call has just given; exits with XNORCTL_FAILED if it is
// NULL. Data from files is allocated elsewhere and fails file by file.
void *memory_check(void *memory);

#endif
