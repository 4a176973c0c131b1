"""Loss terms against numbers worked out by hand."""

import math
import unittest

import torch

from train import losses

STUDENT = torch.tensor([[1.0, 5.0], [0.0, 4.0]])
TEACHER = torch.tensor([[0.0, 2.0], [4.0, 4.0]])
# H = student - teacher = [[1, 3], [-4, 0]]; rows are samples.
# HᵀH = [[17, 3], [3, 9]]: eigenvalues 13 ± 5 = 18 and 8, so the singular values are 3√2 and 2√2.
BY_HAND = {"F": math.sqrt(26), "1": 5.0, "2": 3 * math.sqrt(2), "L1": 8.0, "nuclear": 5 * math.sqrt(2), "inf": 4.0}


class Regularisers(unittest.TestCase):
    def test_all_six_by_hand(self):
        self.assertEqual(sorted(losses.REGULARISERS), sorted(BY_HAND))
        for name, expected in BY_HAND.items():
            with self.subTest(norm=name):
                self.assertAlmostEqual(losses.REGULARISERS[name](STUDENT - TEACHER).item(), expected, places=5)

    def test_term_is_divided_by_the_batch(self):
        self.assertAlmostEqual(losses.pooling_term(STUDENT, TEACHER, "1").item(), 2.5, places=6)

    def test_gradient_is_finite_at_equality(self):
        for name in ("F", "1", "L1", "inf"):
            h = torch.zeros(2, 2, requires_grad=True)
            losses.REGULARISERS[name](h).backward()
            self.assertTrue(torch.isfinite(h.grad).all(), name)


class Prediction(unittest.TestCase):
    logits = torch.tensor([[math.log(3.0), 0.0]])  # probabilities 3/4, 1/4

    def test_cross_entropy_in_bits(self):
        self.assertAlmostEqual(losses.cross_entropy(self.logits, torch.tensor([1])).item(), 2.0, places=6)

    def test_distillation_at_temperature_one(self):
        even = torch.zeros(1, 2)  # -(log2(3/4) + log2(1/4)) / 2
        self.assertAlmostEqual(losses.distillation(self.logits, even, 1.0).item(), 2 - math.log2(3) / 2, places=6)

    def test_temperature_softens_both_sides(self):
        logits = torch.tensor([[2 * math.log(3.0), 0.0]])  # at T = 2 again 3/4, 1/4
        entropy = 2 - 0.75 * math.log2(3)
        self.assertAlmostEqual(losses.distillation(logits, logits, 2.0).item(), 4 * entropy, places=5)

    def test_temperature_of_the_teacher_alone(self):
        teacher = torch.tensor([[2 * math.log(3.0), 0.0]])
        entropy = 2 - 0.75 * math.log2(3)
        loss = losses.distillation(self.logits, teacher, 2.0, student_temperature=1.0)
        self.assertAlmostEqual(loss.item(), 2 * entropy, places=5)

    def test_total_is_the_weighted_sum_of_equation_12(self):
        labels, even = torch.tensor([1]), torch.zeros(1, 2)
        total = losses.kdr(self.logits, [STUDENT], labels, even, [TEACHER], lam=0.25, eta=0.5, temperature=1.0)
        expected = 0.25 * (2 - math.log2(3) / 2) + 0.75 * 2.0 + 0.5 * 2.5
        self.assertAlmostEqual(total.item(), expected, places=5)


if __name__ == "__main__":
    unittest.main()
