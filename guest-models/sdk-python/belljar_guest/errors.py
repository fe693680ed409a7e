"""Why a call gave no result, and whose fault that is."""


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
