// Prints a graph as text, one node a line.
#ifndef XNOR_GRAPH_PRINT_H
#define XNOR_GRAPH_PRINT_H

#include <stdio.h>

#include "graph/graph.h"

// %4 = xnor_linear(%2, %w:bits[64, 3]) axis=1   # acc[?, ?, 64]  conv1
void xnor_graph_print(const xnor_graph *graph, FILE *file);

#endif
