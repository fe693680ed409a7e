"""Tests of the model, without a server."""

import unittest

from belljar_guest import InvalidInput, Tensor, TensorRequest

import model


def scores(rows):
    values = [value for row in rows for value in row]
    x = Tensor.of("FP32", [len(rows), 3], values)
    return model.infer(TensorRequest({"x": x}))["probability"].values.tolist()


class ModelTest(unittest.TestCase):
    def setUp(self):
        model.read_weights()

    def test_rows_are_scored(self):
        first, second = scores([[1, 2, 3], [0, 0, 0]])
        self.assertAlmostEqual(first, 0.98369747, 6)
        self.assertAlmostEqual(second, 0.52497919, 6)

    def test_no_rows_are_the_callers_fault(self):
        with self.assertRaises(InvalidInput):
            scores([])
