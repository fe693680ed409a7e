"""The model's own files: those in the folder `assets` of its project, by their names there.

The place to read them is the function marked with `load`: what is read there is paid for once.
"""

from . import _host
from .errors import Failed

# How much is asked for at a time. The host gives at most 16 MiB; less keeps what is in memory at
# once close to the size of the asset.
_PIECE_BYTES = 1 << 20


def names():
    """The names of all assets, in the byte order of their names."""
    return [name for name in _host.assets.list() if not name.startswith(_host.hidden)]


def size(name):
    """The size of an asset in bytes.

    Raises `Failed` where there is no asset of that name.
    """
    size = _host.assets.size(name)
    if size is None:
        raise Failed(_missing(name))
    return size


def read(name, offset=0, length=None):
    """An asset's bytes from `offset` on: `length` of them, or all that follow.

    Raises `Failed` where there is no asset of that name.
    """
    end = size(name)
    if length is not None:
        end = min(end, offset + length)
    whole = bytearray()
    while offset < end:
        piece = _host.assets.read(name, offset, min(_PIECE_BYTES, end - offset))
        if not piece:
            raise Failed(f"asset `{name}` ends at {offset} of {end} bytes")
        whole += piece
        offset += len(piece)
    return bytes(whole)


def read_text(name):
    """A whole asset of UTF-8 text.

    Raises `Failed` where there is no asset of that name, or it is not UTF-8.
    """
    try:
        return read(name).decode()
    except UnicodeDecodeError:
        raise Failed(f"asset `{name}` is not UTF-8") from None


def provide(name, content):
    """Makes an asset available to a test. A component reads those of its bundle and no others."""
    if not _host.NATIVE:
        raise Failed("assets are provided in tests alone")
    _host.assets.provided[name] = content.encode() if isinstance(content, str) else bytes(content)


def _missing(name):
    there = ", ".join(f"`{other}`" for other in names()[:8]) or "none"
    hint = ""
    if name.startswith("assets/"):
        hint = "; names are relative to the folder assets"
    return f"there is no asset `{name}` in this bundle; there are: {there}{hint}"
