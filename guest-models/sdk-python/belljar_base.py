"""A base: the interpreter as a component of its own, which takes a model's Python from the assets
of the bundle that names it.

`packages.py`, where the base's project has one, imports what else models can import from it.
"""

import importlib
import sys

from belljar_guest import _source
from belljar_guest._component import *
from belljar_guest._component import WANTED, calling

# The modules of Python's library that a base has, and those that they stand on. What is not
# imported while the component is built is not in it.
LIBRARY = """
    abc argparse array ast base64 binascii bisect calendar cmath codecs collections collections.abc
    colorsys configparser contextlib contextvars copy copyreg csv dataclasses datetime decimal
    difflib enum errno fnmatch fractions functools gc glob graphlib gzip hashlib heapq hmac html
    html.entities html.parser importlib importlib.util inspect io ipaddress itertools json keyword
    linecache locale logging math numbers operator os os.path pathlib pickle pkgutil pprint queue
    random re reprlib secrets shlex sqlite3 statistics string stringprep struct sys textwrap
    threading time token tokenize tomllib traceback types typing unicodedata urllib.parse uuid
    warnings weakref xml.etree.ElementTree zipfile zlib
""".split()

# What the interpreter itself imports only when it is needed: by `strptime`, by long integers as
# text, by tracebacks, and by texts in encodings other than UTF-8.
_LATER = """
    _colorize _pylong _strptime _suggestions
    encodings.ascii encodings.base64_codec encodings.cp1252 encodings.cp437 encodings.hex_codec
    encodings.idna encodings.iso8859_15 encodings.latin_1 encodings.punycode
    encodings.raw_unicode_escape encodings.rot_13 encodings.unicode_escape encodings.utf_16
    encodings.utf_16_be encodings.utf_16_le encodings.utf_32 encodings.utf_32_be
    encodings.utf_32_le encodings.utf_8_sig encodings.zlib_codec
""".split()

for _name in LIBRARY + _LATER:
    importlib.import_module(_name)

try:
    import packages
except ModuleNotFoundError as error:
    if error.name != "packages":
        raise
else:
    assert packages
    # A model may have a module of that name.
    del sys.modules["packages"]

# How much of the memory is free when the model is imported.
HEADROOM = 12 << 20


class Lifecycle:
    def load(self):
        # Memory grows and never shrinks, and what is freed is used again: a model that needs less
        # than this leaves a memory of the size that the base by itself leaves. The server then
        # takes the code that it has compiled for the base, since nothing but data differs.
        bytes(HEADROOM)
        calling(_source.load, WANTED)
