// Class scores -> labels with confidences.
#include <math.h>

#include "task/points.h"

double xnor_confidence(xnor_output_kind kind, const float *scores, uint32_t count, uint32_t c) {
    if (kind == XNOR_OUTPUT_PROBABILITIES) return (double)scores[c];
    // Softmax; for log-probabilities its denominator is 1 up to rounding.
    double largest = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < count; i++) // not fmax: gcc 12 for aarch64 fails on it at -O3
        if ((double)scores[i] > largest) largest = (double)scores[i];
    for (uint32_t i = 0; i < count; i++) sum += exp((double)scores[i] - largest);
    return exp((double)scores[c] - largest) / sum;
}

uint32_t xnor_labels_from_scores(const xnor_description *description, const float *scores,
                                 xnor_label *labels, uint32_t count) {
    uint32_t classes = description->class_count;
    if (count > classes) count = classes;
    float previous = INFINITY;
    uint32_t previous_id = 0;
    for (uint32_t rank = 0; rank < count; rank++) {
        // The best class after the previous one in the order (score down, id up).
        uint32_t best = classes;
        for (uint32_t c = 0; c < classes; c++) {
            bool after =
                rank == 0 || scores[c] < previous || (scores[c] == previous && c > previous_id);
            if (after && (best == classes || scores[c] > scores[best])) best = c;
        }
        if (best == classes) return rank; // only NaN is left
        labels[rank] = (xnor_label){
            best, (float)xnor_confidence(description->output_kind, scores, classes, best)};
        previous = scores[best];
        previous_id = best;
    }
    return count;
}
