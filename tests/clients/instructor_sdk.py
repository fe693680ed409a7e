"""What programs do with instructor, against a server that needs no key."""

import asyncio
import datetime
import enum
import logging
import sys
import typing

import instructor
import openai
from pydantic import BaseModel, EmailStr, Field

# It logs what it then raises.
logging.disable(logging.CRITICAL)
URL = sys.argv[1]
SYNC = openai.OpenAI(base_url=URL + "/v1", api_key="any", max_retries=0)
MODES = [
    instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT, instructor.Mode.JSON,
    instructor.Mode.JSON_SCHEMA, instructor.Mode.MD_JSON, instructor.Mode.RESPONSES_TOOLS,
]


class Trip(BaseModel):
    city: str
    nights: int


class Board(str, enum.Enum):
    none = "none"
    breakfast = "breakfast"
    full = "full"


class Guest(BaseModel):
    name: str = Field(min_length=2, max_length=40)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$")
    born: datetime.date
    companion: typing.Optional["Guest"] = None


class Booking(BaseModel):
    """A booking of rooms."""

    guest: Guest
    board: Board
    price: float = Field(gt=0, lt=10_000)
    tags: list[str] = Field(min_length=1, max_length=3)


def asks(mode, content):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}],
            "max_retries": 0}


for mode in MODES:
    client = instructor.from_openai(SYNC, mode=mode)
    trip = client.create(response_model=Trip, **asks(mode, "Paris, 4 nights"))
    assert (trip.city, trip.nights) == ("Paris", 4), (mode, trip)
    booking, raw = client.create_with_completion(
        response_model=Booking, **asks(mode, "Full board for Jane Smith, jane@example.com"))
    assert booking.board in Board and raw.usage.total_tokens > 0, (mode, booking)
    if mode not in (instructor.Mode.JSON, instructor.Mode.MD_JSON):
        assert (booking.guest.name, booking.board) == ("Jane Smith", Board.full), (mode, booking)
        assert booking.guest.email == "jane@example.com", (mode, booking)

    async def later():
        sdk = openai.AsyncOpenAI(base_url=URL + "/v1", api_key="any", max_retries=0)
        client = instructor.from_openai(sdk, mode=mode)
        return await client.create(response_model=Trip, **asks(mode, "Rome, 2 nights"))

    trip = asyncio.run(later())
    assert (trip.city, trip.nights) == ("Rome", 2), (mode, trip)

client = instructor.from_openai(SYNC)
parts = list(client.create_partial(response_model=Trip, **asks(None, "Paris, 4 nights")))
assert len(parts) > 1 and (parts[-1].city, parts[-1].nights) == ("Paris", 4), parts
trips = list(client.create_iterable(response_model=Trip, **asks(None, "Trips: Paris, 4 nights")))
assert trips and trips[0].city == "Paris", trips


def refused(kind, client, **more):
    try:
        client.create(response_model=Trip, **{**asks(None, "Paris"), **more})
    except Exception as error:
        seen = error
        while seen and not isinstance(seen, kind):
            seen = seen.__cause__ or seen.__context__
        assert seen, repr(error)
        return
    raise AssertionError(f"nobody refused with {kind}")


refused(openai.NotFoundError, client, model="nobody")
stranger = openai.OpenAI(base_url=URL + "/v1", api_key="sk-belljar-" + "0" * 64, max_retries=0)
refused(openai.AuthenticationError, instructor.from_openai(stranger))
print("instructor", "ok")
