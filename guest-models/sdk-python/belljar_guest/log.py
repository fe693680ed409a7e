"""Lines for the host's log, kept apart by model and request. Log no prompts: whoever runs the
server reads them."""

from . import _host


def trace(message):
    """A line that matters to who looks for a fault."""
    _write("TRACE", message)


def debug(message):
    """A line that matters to who writes the model."""
    _write("DEBUG", message)


def info(message):
    """A line that says what was done."""
    _write("INFO", message)


def warn(message):
    """A line about what is not as it should be."""
    _write("WARN", message)


def error(message):
    """A line about what failed."""
    _write("ERROR", message)


def _write(level, message):
    _host.log.write(_host.level(level), str(message))
