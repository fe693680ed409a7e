"""Vectors of texts."""

from array import array

from .errors import Failed


class EmbeddingModel:
    """A function that makes vectors of texts."""

    def __init__(self, function):
        self._function = function

    def embed(self, texts, dimensions=None):
        """A vector for each text, and how many tokens the texts have: words, where the function
        does not say it."""
        given = self._function(texts, dimensions)
        tokens = None
        if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], int):
            given, tokens = given
        try:
            vectors = [array("f", vector) for vector in given]
        except TypeError:
            raise Failed(
                "the function marked with @embeddings gives a list of vectors, one for each text, "
                "each a list of numbers"
            ) from None
        if len(vectors) != len(texts):
            raise Failed(
                f"the function marked with @embeddings gave {len(vectors)} vectors for "
                f"{len(texts)} texts"
            )
        if tokens is None:
            tokens = sum(len(text.split()) for text in texts)
        return vectors, tokens
