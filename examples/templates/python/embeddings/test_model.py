"""Tests of the model, without a server."""

import unittest

from belljar_guest import Unsupported

import model


def likeness(one, other):
    one, other = model.embed([one, other], None)
    return sum(a * b for a, b in zip(one, other))


class ModelTest(unittest.TestCase):
    def setUp(self):
        model.read_vectors()

    def test_vectors_have_length_1(self):
        self.assertAlmostEqual(likeness("the bell rings", "the bell rings"), 1.0, 6)

    def test_what_is_alike_is_near(self):
        self.assertGreater(likeness("bell", "sound"), 0.9)
        self.assertLess(likeness("bell", "table"), 0.3)

    def test_another_length_is_not_to_be_had(self):
        with self.assertRaises(Unsupported):
            model.embed(["bell"], 7)
