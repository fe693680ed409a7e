"""Scores rows of numbers with the weights in assets/weights.json."""

# Modules of the library are in the component if they are imported here, at the top, and not
# where they are used.
import json
import math
import struct

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.tensors import Datatype, MetadataInfo, Response, Tensor, TensorInfo
from wit_world.imports import assets
from wit_world.imports.types import Error_InvalidInput

# What `load` leaves here is where each request starts.
weights = []
bias = 0.0


class Lifecycle(exports.Lifecycle):
    def load(self):
        global weights, bias
        size = assets.size("weights.json")
        model = json.loads(assets.read("weights.json", 0, size))
        weights, bias = model["weights"], model["bias"]


class Tensors(exports.Tensors):
    def metadata(self):
        # Asked once, after `load`.
        return MetadataInfo(
            [TensorInfo("x", Datatype.FP32, [-1, 3])],
            [TensorInfo("probability", Datatype.FP32, [-1])],
        )

    def infer(self, request):
        [x] = request.inputs
        rows, columns = x.shape
        if rows == 0:
            raise Err(Error_InvalidInput("`x` has no rows"))
        values = struct.unpack(f"<{rows * columns}f", x.data)
        scores = []
        for row in range(rows):
            row = values[row * columns : (row + 1) * columns]
            total = bias + sum(w * v for w, v in zip(weights, row))
            scores.append(1 / (1 + math.exp(-total)))
        data = struct.pack(f"<{rows}f", *scores)
        return Response([Tensor("probability", Datatype.FP32, [rows], data)], [])
