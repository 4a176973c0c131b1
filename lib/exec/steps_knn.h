// The k nearest neighbours among the rows of each group.
#ifndef XNOR_EXEC_STEPS_KNN_H
#define XNOR_EXEC_STEPS_KNN_H

#include "exec/plan.h"

// Floats of working memory for groups of step->rows points with step->n channels.
size_t xnor_knn_scratch(const xnor_step *step);

#endif
