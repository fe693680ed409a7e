"""What the host gives: its own where the model is a component, files and stderr where it is
tested."""

import os
import sys

try:
    from wit_world.imports import assets, log

    NATIVE = False
except ImportError:
    NATIVE = True


# What one read gives at most, as of the host.
READ_BYTES_MAX = 16 << 20

# How the names of assets begin that are no data of the model: on a base, its source.
hidden = ()


class _Files:
    """The folder `assets` beside the model, or in the current folder."""

    def __init__(self):
        self.provided = {}

    def _folder(self):
        model = sys.modules.get("model")
        beside = os.path.dirname(os.path.abspath(model.__file__)) if model else os.getcwd()
        return os.path.join(beside, "assets")

    def _path(self, name):
        path = os.path.join(self._folder(), *name.split("/"))
        return path if os.path.isfile(path) else None

    def list(self):
        folder = self._folder()
        found = set(self.provided)
        for inside, _, files in os.walk(folder):
            for file in files:
                if not file.startswith("."):
                    path = os.path.relpath(os.path.join(inside, file), folder)
                    found.add(path.replace(os.sep, "/"))
        return sorted(found)

    def size(self, name):
        if name in self.provided:
            return len(self.provided[name])
        path = self._path(name)
        return os.path.getsize(path) if path else None

    def read(self, name, offset, length):
        length = min(length, READ_BYTES_MAX)
        if name in self.provided:
            return self.provided[name][offset : offset + length]
        path = self._path(name)
        if path is None:
            return None
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(length)


class _Lines:
    """Lines for stderr."""

    def write(self, level, message):
        print(f"{level}: {message}", file=sys.stderr)


if NATIVE:
    assets = _Files()
    log = _Lines()


def level(name):
    """A level as the host takes it."""
    return name if NATIVE else getattr(log.Level, name)
