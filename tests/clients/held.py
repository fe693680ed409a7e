"""Answers held against the types of an SDK, which itself takes whatever it is given."""

import pydantic


def unknown(value):
    """The members that no type knows."""
    if isinstance(value, pydantic.BaseModel):
        yield from value.__pydantic_extra__ or ()
        for name in type(value).model_fields:
            yield from unknown(getattr(value, name, None))
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from unknown(one)


def held(kind, value, besides=frozenset()):
    """A value as one of a type: every member has its type, none that must be there is missing, and
    none is there that the type does not know, but for those besides it."""
    model = pydantic.TypeAdapter(kind).validate_python(value)
    beside = set(unknown(model)) - besides
    assert not beside, (kind, beside, value)
    return model
