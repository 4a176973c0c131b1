// The k nearest rows of each group to each query.
#ifndef XNOR_EXEC_STEPS_KNN_H
#define XNOR_EXEC_STEPS_KNN_H

#include "exec/plan.h"

// Floats of working memory for groups of step->rows points with step->n channels; false when there are
// too many.
bool xnor_knn_scratch(const xnor_step *step, size_t *floats);

#endif
