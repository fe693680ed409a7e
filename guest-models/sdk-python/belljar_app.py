"""The component: what componentize-py is told to build. It takes the marked functions of `model.py`
to the classes that the contract asks for."""

import model
from belljar_guest._component import *
from belljar_guest._component import WANTED
from belljar_guest._marks import MODEL

assert model


def _check():
    """What the world asks for and what the model has, compared while the component is built."""
    there = MODEL.kinds()
    worlds = {"tensors": "tensor-model", "text": "text-model", "embeddings": "embedding-model"}
    for mark in sorted(WANTED - there):
        has = ", ".join(f"@{other} (-w {worlds[other]})" for other in sorted(there)) or "none"
        raise TypeError(
            f"the world wants a function marked with @{mark}, and model.py has no such function: "
            f"mark one, or build for another world; model.py has: {has}"
        )
    for mark in sorted(there - WANTED):
        raise TypeError(
            f"model.py has a function marked with @{mark}, and the world does not export it: "
            f"build with -w {worlds[mark]}, or with a world that exports both"
        )


_check()
