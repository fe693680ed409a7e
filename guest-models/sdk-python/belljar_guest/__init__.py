"""Write models for Belljar in Python.

A model is a module `model.py` whose functions are marked with what they do:

    from array import array
    from belljar_guest import assets, load, tensors

    @load
    def read_weights():
        global weights
        weights = array("f", assets.read("weights.bin"))

    @tensors(inputs={"x": ("FP32", [-1, 3])}, outputs={"y": ("FP32", [-1, 3])})
    def infer(request):
        x = request["x"]
        return {"y": x.like(w * v for row in range(x.rows) for w, v in zip(weights, x.row(row)))}

`load` runs once. The memory that it leaves is where each request starts; what a request changes is
gone after it. Modules of the library have to be imported at the top of a file: what is imported
later is not in the component.

Nothing here needs a server when a model is tested: `assets` then reads the folder `assets` beside
`model.py`, and `log` writes to stderr.
"""

from . import assets, log
from ._marks import embeddings, load, tensors, text
from .errors import Failed, InvalidInput, Unsupported
from .tensors import Tensor, TensorRequest
from .text import (
    Finish,
    Message,
    Reasoning,
    Refusal,
    Text,
    TextRequest,
    ToolArguments,
    ToolCall,
)

__all__ = [
    "Failed",
    "Finish",
    "InvalidInput",
    "Message",
    "Reasoning",
    "Refusal",
    "Tensor",
    "TensorRequest",
    "Text",
    "TextRequest",
    "ToolArguments",
    "ToolCall",
    "Unsupported",
    "assets",
    "embeddings",
    "load",
    "log",
    "tensors",
    "text",
]
