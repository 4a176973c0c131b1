// Reductions of [groups, rows, n].
#ifndef XNOR_EXEC_STEPS_REDUCE_H
#define XNOR_EXEC_STEPS_REDUCE_H

#include <stddef.h>

// Parts of the rows that are added up by themselves; if there are several, in working memory
// of [groups, parts, n] doubles.
size_t xnor_reduce_parts(size_t groups, size_t rows, size_t n);

#endif
