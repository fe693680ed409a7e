"""The marks of a model's functions, and the model that they make."""

from .embeddings import EmbeddingModel
from .tensors import TensorModel
from .text import TextModel

# What a model does, each by the mark of its function.
KINDS = ("tensors", "text", "embeddings")


class _Model:
    """What the marked functions of `model.py` do; each mark may be there once."""

    def __init__(self):
        self.load = None
        self.tensors = None
        self.text = None
        self.embeddings = None

    def take(self, mark, value, function):
        there = getattr(self, mark)
        # A module that is imported again defines the same functions again.
        if there is not None and there[1] != (function.__module__, function.__qualname__):
            raise TypeError(
                f"@{mark} marks two functions, {there[1][1]} and {function.__qualname__}: "
                "a model has one of each"
            )
        setattr(self, mark, (value, (function.__module__, function.__qualname__)))

    def kinds(self):
        """The kinds that there is a function for."""
        return {kind for kind in KINDS if getattr(self, kind)}


MODEL = _Model()

# What the code of an `async def` has among its flags: `inspect.CO_COROUTINE`, without that module.
_COROUTINE = 0x80


def load(function=None):
    """Marks the function that runs once, when a version is made ready. It takes nothing."""
    _check_bare("load", function)
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & _COROUTINE:
        raise TypeError(
            f"@load marks {function.__qualname__}, which is async, and nothing waits for it: write "
            "it without async"
        )
    MODEL.take("load", function, function)
    return function


def tensors(inputs=None, outputs=None):
    """Marks the function that takes a `TensorRequest` and gives tensors: one `Tensor`, a list of
    them, or a dict of tensors by name.

    `inputs` and `outputs` say what there is: names, each with a datatype of the Open Inference
    Protocol and a shape, where a dimension of any size is -1. Where inputs are declared, requests
    that do not fit them never reach the function; without, it takes any.
    """
    if callable(inputs):
        raise TypeError(
            '@tensors is written with brackets: @tensors(inputs={"x": ("FP32", [-1, 3])}, …), '
            "or @tensors()"
        )

    def mark(function):
        MODEL.take("tensors", TensorModel(function, inputs or {}, outputs or {}), function)
        return function

    return mark


def text(function=None):
    """Marks the function that takes a `TextRequest` and yields texts, or `Text`, `Reasoning`,
    `ToolCall`, `ToolArguments`, `Refusal` and `Finish`. A generator streams by itself: the host
    asks for each piece."""
    _check_bare("text", function)
    MODEL.take("text", TextModel(function), function)
    return function


def embeddings(function=None):
    """Marks the function that takes a list of texts, and the length of the vectors that the caller
    wants or None, and gives a vector for each text, in their order: or these and how many tokens
    the texts have."""
    _check_bare("embeddings", function)
    MODEL.take("embeddings", EmbeddingModel(function), function)
    return function


def _check_bare(mark, function):
    """That a mark has a function: in brackets it has nothing, or something else."""
    if not callable(function):
        raise TypeError(f"@{mark} is written without brackets")
