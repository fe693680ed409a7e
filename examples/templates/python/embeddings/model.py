"""Makes a vector of a text: the mean of its words' vectors, which are in assets/words.vec."""

# Imports belong here, at the top: what is imported later may not be there.
import math
from array import array

from belljar_guest import Failed, Unsupported, assets, embeddings, load

# What `load` leaves here is where each request starts: the vector of each word.
vectors = {}


@load
def read_vectors():
    for line in assets.read_text("words.vec").splitlines():
        word, *numbers = line.split()
        vectors[word] = array("f", map(float, numbers))
    if len({len(vector) for vector in vectors.values()}) != 1:
        raise Failed("words.vec has vectors of different lengths")


@embeddings
def embed(texts, dimensions):
    length = len(next(iter(vectors.values())))
    if dimensions not in (None, length):
        raise Unsupported(f"vectors of this model have {length} numbers")
    return [mean(text.lower().split(), length) for text in texts]


def mean(words, length):
    """The mean of the words' vectors, of length 1; words that are not known count for nothing."""
    total = [0.0] * length
    for word in words:
        for place, number in enumerate(vectors.get(word, ())):
            total[place] += number
    norm = math.sqrt(sum(number * number for number in total)) or 1.0
    return [number / norm for number in total]
