"""Why a call gave no result, and whose fault that is."""

import traceback

# The component's own files: their frames say nothing to who wrote the model.
_OWN = (
    "belljar_app.py",
    "belljar_base.py",
    "belljar_guest/_component.py",
    "belljar_guest/_source.py",
)


def import_hint(name):
    """What to do about a module that is not found. A base knows more, and has a function of its own
    here."""
    return "a component has what is imported while it is built, at the top of a file"


class ModelError(Exception):
    """What `InvalidInput`, `Unsupported` and `Failed` have in common: a text for a person."""

    def __init__(self, message):
        super().__init__(message)
        self.message = str(message)


class InvalidInput(ModelError):
    """The request is wrong and will stay wrong; the caller reads the text (HTTP 400)."""


class Unsupported(ModelError):
    """The request is sound, and this model does not do such a thing; the caller reads the text
    (HTTP 400)."""


class Failed(ModelError):
    """The model's own fault; the text goes to the server's log and the caller does not see it
    (HTTP 502)."""


def told(error):
    """An exception that is none of these, for who wrote the model: what it is, and the lines that
    led there, the innermost first, since the host cuts the end of a long text."""
    # Without columns: marks below a line say nothing once the host has made one line of the text.
    frames = [
        traceback.FrameSummary(frame.filename, frame.lineno, frame.name, line=frame.line)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.endswith(_OWN)
    ]
    what = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, ModuleNotFoundError) and error.name:
        what += f": {import_hint(error.name)}"
    elif isinstance(error, FileNotFoundError):
        what += ": a model has no files; assets.read and assets.read_text read those in assets/"
    lines = "".join(traceback.format_list(frames[::-1])).rstrip()
    return f"an exception in Python: {what}\n{lines}".rstrip()
