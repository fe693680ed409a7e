"""What the checks of several clients share."""


def refused(kind, call):
    """The error of a call that must fail with this kind of it."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"nobody refused with {kind}")
