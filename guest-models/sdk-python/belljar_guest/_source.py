"""A model whose Python is among its assets: what a base runs.

`source/model.py` is the model; the modules and packages that it imports are beside it.
"""

import sys
import traceback
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec

from . import _host, assets, errors
from ._marks import KINDS, MODEL
from .errors import Failed, Unsupported

# How the names of the assets begin that are source.
_FOLDER = "source/"

# What a base of each kind is of, in words.
_WORDS = {"tensors": "tensors", "text": "texts", "embeddings": "embeddings"}

# Folders of a project of which nothing is pushed as source.
_OTHER_FOLDERS = ("assets", "tests", "sdk", "wit", "target", "node_modules")


def load(kinds):
    """Imports the model, whose functions are marked as these kinds of a base say, and runs its
    `load`. Without any source the base is by itself, and answers nothing."""
    files = frozenset(
        name.removeprefix(_FOLDER) for name in _host.assets.list() if name.startswith(_FOLDER)
    )
    _host.hidden = (_FOLDER,)
    if not files:
        for kind in kinds:
            setattr(MODEL, kind, (_Alone(), None))
        return
    _check_files(files)
    # Requests import too.
    errors.import_hint = lambda name: _import_hint(name, files)
    sys.meta_path.insert(0, _Sources(files))
    try:
        import model

        assert model
        _check_marks(kinds)
        if MODEL.load:
            MODEL.load[0]()
    except ModuleNotFoundError as error:
        raise Failed(_missing(error, files)) from None


class _Alone:
    """What a base by itself answers with."""

    inputs = outputs = ()

    def _refuse(self, *asked):
        raise Unsupported(
            "this is a base: models are built on it, and it answers nothing itself"
        )

    infer = start = embed = _refuse


class _Sources(MetaPathFinder, SourceLoader):
    """Finds modules among the assets, and loads them. Their files have the names that the author
    knows them by: tracebacks show these, with the lines."""

    def __init__(self, files):
        self._files = files

    def find_spec(self, name, path=None, target=None):
        file = self._file(name)
        if file:
            spec = ModuleSpec(name, self, origin=file, is_package=self.is_package(name))
            spec.has_location = True
            return spec
        # A folder is a package without an `__init__.py` too.
        folder = _path(name) + "/"
        if any(file.startswith(folder) for file in self._files):
            return ModuleSpec(name, None, is_package=True)
        return None

    def get_filename(self, name):
        file = self._file(name)
        if not file:
            raise ImportError(f"there is no source of `{name}`", name=name)
        return file

    def get_data(self, path):
        return assets.read(_FOLDER + path)

    def source_to_code(self, data, path, **options):
        try:
            return super().source_to_code(data, path, **options)
        except SyntaxError as error:
            line = f": {error.text.strip()}" if error.text else ""
            raise Failed(f"{path}, line {error.lineno}: {error.msg}{line}") from None

    def _file(self, name):
        for file in (f"{_path(name)}/__init__.py", f"{_path(name)}.py"):
            if file in self._files:
                return file
        return None


def _path(name):
    return name.replace(".", "/")


def _check_files(files):
    """That there is a model, and that each module can be imported."""
    if "model.py" not in files:
        there = ", ".join(f"`{file}`" for file in sorted(files)[:8])
        raise Failed(f"there is no `model.py` among the source; there are: {there}")
    for file in sorted(files):
        name = file.partition("/")[0].removesuffix(".py")
        # What is imported is not looked for again: the base's would be taken, without a word.
        if name in sys.modules and not name.startswith("__"):
            raise Failed(
                f"{file}: the base has a module `{name}` of its own, and imports would find that "
                "one: give yours another name"
            )


def _check_marks(kinds):
    """That the model does what the base is for."""
    there = MODEL.kinds()
    base = " and ".join(_WORDS[kind] for kind in KINDS if kind in kinds)
    for mark in sorted(there - kinds):
        raise Failed(
            f"model.py has a function marked with @{mark}, and the base is of {base}: "
            f"name a base of {_WORDS[mark]} in model.toml"
        )
    for mark in sorted(kinds - there):
        raise Failed(
            f"the base is of {base}, and model.py has no function marked with @{mark}: mark one"
        )


def _missing(error, files):
    """A module that is not found, where it is imported, and what to do about it."""
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename in files:
            where = f" ({frame.filename}, line {frame.lineno})"
    return f"{error.msg}{where}: {_import_hint(error.name or '', files)}"


def _import_hint(name, files):
    parts = name.split(".")
    if any(
        part in _OTHER_FOLDERS or part.startswith("test_") or part.endswith("_test")
        for part in parts
    ):
        return (
            "tests are not pushed (test_*.py, *_test.py), nor are the folders "
            f"{', '.join(_OTHER_FOLDERS)}: give it another name"
        )
    top = parts[0]
    if top in sys.stdlib_module_names:
        return (
            "of Python's library a base has what its builder has put there, which is the list "
            "LIBRARY in sdk/belljar_base.py; what else models are to have, the project of the "
            "base imports in packages.py"
        )
    if any(file.startswith((top + "/", top + ".py")) for file in files):
        there = ", ".join(f"`{file}`" for file in sorted(files)[:8])
        return (
            f"the source has: {there}; files that do not end in .py, such as compiled parts, are "
            "not imported"
        )
    return (
        "packages of pure Python can be put beside model.py; what has compiled parts, such as "
        "numpy, does not run"
    )
