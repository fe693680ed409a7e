"""Scores rows of three numbers with the weights in assets/weights.bin."""

# Imports belong here, at the top: what is imported later may not be there.
import math
from array import array

from belljar_guest import Failed, InvalidInput, Tensor, assets, load, tensors

COLUMNS = 3

# What `load` leaves here is where each request starts.
weights = array("f")


@load
def read_weights():
    weights[:] = array("f", assets.read("weights.bin"))
    if len(weights) != COLUMNS + 1:
        raise Failed(f"weights.bin has {len(weights)} numbers, and not {COLUMNS} and a bias")


@tensors(inputs={"x": ("FP32", [-1, COLUMNS])}, outputs={"probability": ("FP32", [-1])})
def infer(request):
    x = request["x"]
    if x.rows == 0:
        raise InvalidInput("`x` has no rows")
    values = x.values
    scores = array("f")
    for start in range(0, len(values), COLUMNS):
        total = weights[COLUMNS]
        for column in range(COLUMNS):
            total += weights[column] * values[start + column]
        scores.append(1 / (1 + math.exp(-total)))
    return {"probability": Tensor.of("FP32", [x.rows], scores)}
