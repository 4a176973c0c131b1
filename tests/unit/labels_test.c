#include <criterion/criterion.h>
#include <math.h>

#include "xnor.h"

static uint32_t best(xnor_output_kind kind, const float *scores, uint32_t classes,
                     xnor_label *labels, uint32_t count) {
    const xnor_description d = {.output_kind = kind, .class_count = classes};
    return xnor_labels_from_scores(&d, scores, labels, count);
}

static void expect_label(const xnor_label *label, uint32_t id, double confidence) {
    cr_assert_eq(label->class_id, id, "class %u, expected %u", label->class_id, id);
    cr_assert_float_eq((double)label->confidence, confidence, 1e-6);
}

// Logits 0, ln 2, ln 5 have the probabilities 1/8, 2/8, 5/8.
static const float logits[3] = {0, 0.69314718f, 1.60943791f};

Test(labels, logits_become_confidences_by_softmax) {
    xnor_label labels[3];
    cr_assert_eq(best(XNOR_OUTPUT_LOGITS, logits, 3, labels, 3), 3);
    expect_label(&labels[0], 2, 0.625);
    expect_label(&labels[1], 1, 0.25);
    expect_label(&labels[2], 0, 0.125);
}

Test(labels, large_logits_do_not_overflow) {
    static const float scores[3] = {1000, 1000.69314718f, -1000};
    xnor_label labels[3];
    cr_assert_eq(best(XNOR_OUTPUT_LOGITS, scores, 3, labels, 3), 3);
    cr_assert_float_eq((double)labels[0].confidence, 2.0 / 3, 1e-4);
    expect_label(&labels[2], 2, 0);
}

Test(labels, log_probabilities_are_exponentiated) {
    static const float scores[2] = {-0.28768207f, -1.38629436f};
    xnor_label labels[2];
    cr_assert_eq(best(XNOR_OUTPUT_LOG_PROBABILITIES, scores, 2, labels, 2), 2);
    expect_label(&labels[0], 0, 0.75);
    expect_label(&labels[1], 1, 0.25);
}

Test(labels, probabilities_are_taken_as_they_are) {
    static const float scores[2] = {0.25f, 0.5f};
    xnor_label labels[2];
    cr_assert_eq(best(XNOR_OUTPUT_PROBABILITIES, scores, 2, labels, 2), 2);
    expect_label(&labels[0], 1, 0.5);
    expect_label(&labels[1], 0, 0.25);
}

Test(labels, confidences_are_of_all_classes_not_of_those_asked_for) {
    xnor_label label;
    cr_assert_eq(best(XNOR_OUTPUT_LOGITS, logits, 3, &label, 1), 1);
    expect_label(&label, 2, 0.625);
}

Test(labels, ties_go_to_the_lower_class) {
    static const float scores[5] = {1, 3, 3, 1, 3};
    static const uint32_t expected[5] = {1, 2, 4, 0, 3};
    xnor_label labels[5];
    cr_assert_eq(best(XNOR_OUTPUT_LOGITS, scores, 5, labels, 5), 5);
    for (int i = 0; i < 5; i++) cr_assert_eq(labels[i].class_id, expected[i]);
}

Test(labels, no_more_labels_than_classes) {
    xnor_label labels[9];
    cr_assert_eq(best(XNOR_OUTPUT_LOGITS, logits, 3, labels, 9), 3);
    cr_assert_eq(best(XNOR_OUTPUT_LOGITS, logits, 3, labels, 0), 0);
}

Test(labels, impossible_classes_have_confidence_zero) {
    static const float scores[3] = {-INFINITY, 0, -INFINITY};
    xnor_label labels[3];
    cr_assert_eq(best(XNOR_OUTPUT_LOG_PROBABILITIES, scores, 3, labels, 3), 3);
    expect_label(&labels[0], 1, 1);
    expect_label(&labels[1], 0, 0);
    expect_label(&labels[2], 2, 0);
}

Test(labels, not_a_number_is_no_label) {
    static const float scores[3] = {0.25f, NAN, 0.5f};
    xnor_label labels[3];
    cr_assert_eq(best(XNOR_OUTPUT_PROBABILITIES, scores, 3, labels, 3), 2);
    expect_label(&labels[0], 2, 0.5);
    expect_label(&labels[1], 0, 0.25);
}
