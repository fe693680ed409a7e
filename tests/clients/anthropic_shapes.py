"""Answers held against the types of Anthropic's SDK, which itself takes whatever it is given: every
member has its type, none that must be there is missing, and none is there that it does not know."""

import json
import sys
import uuid

import httpx2 as httpx
from anthropic import types

from held import held

http = httpx.Client(base_url=sys.argv[1], timeout=60, headers={"anthropic-version": "2023-06-01"})
MODEL = "claude-sonnet-4-5"
SAY = [{"role": "user", "content": "Tell me about the sea."}]
ASK = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
TOOL = {"name": "get_weather", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
THINK = {"type": "enabled", "budget_tokens": 1024}
ERRORS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
          405: "invalid_request_error", 413: "request_too_large"}


def message(**more):
    body = {"model": MODEL, "max_tokens": 2000, "messages": SAY, **more}
    answer = http.post("/v1/messages", json=body)
    assert answer.status_code == 200, (body, answer.status_code, answer.text)
    assert answer.headers["request-id"], answer.headers
    told = held(types.Message, answer.json())
    assert told.id.startswith("msg_") and told.model == MODEL, told
    assert answer.json()["stop_sequence"] == told.stop_sequence
    usage = told.usage
    written = usage.cache_creation.ephemeral_5m_input_tokens + usage.cache_creation.ephemeral_1h_input_tokens
    assert written == usage.cache_creation_input_tokens and usage.service_tier == "standard", usage
    thinks = any(block.type == "thinking" for block in told.content)
    assert (usage.output_tokens_details.thinking_tokens > 0) == thinks, told
    return told


def events(**more):
    """The events of a stream, each by its name, and the message that they make up."""
    body = {"model": MODEL, "max_tokens": 2000, "messages": SAY, "stream": True, **more}
    told, blocks, opened = [], [], None
    with http.stream("POST", "/v1/messages", json=body) as answer:
        assert answer.status_code == 200, (body, answer.status_code)
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
                assert data["type"] == name, (name, data)
                if name == "ping":
                    assert data == {"type": "ping"}, data
                    told.append(data)
                    continue
                event = held(types.RawMessageStreamEvent, data)
                told.append(event)
                if name == "content_block_start":
                    assert opened is None and event.index == len(blocks), event
                    opened = event.index
                    blocks.append([event.content_block, ""])
                elif name == "content_block_delta":
                    assert event.index == opened, event
                    delta = event.delta
                    blocks[-1][1] += getattr(delta, "text", "") or getattr(delta, "partial_json", "") or getattr(
                        delta, "thinking", "")
                    if delta.type == "signature_delta":
                        blocks[-1].append(delta.signature)
                elif name == "content_block_stop":
                    assert event.index == opened, event
                    opened = None
    names = [event["type"] if isinstance(event, dict) else event.type for event in told]
    assert names[0] == "message_start" and names[-2:] == ["message_delta", "message_stop"], names
    assert names.count("ping") >= bool(blocks) and opened is None, names
    assert told[0].message.content == [] and told[0].message.stop_reason is None
    return blocks, told[-2]


def messages():
    whole = message()
    blocks, end = events()
    assert [text for _, text, *_ in blocks] == [whole.content[0].text]
    assert (end.delta.stop_reason, end.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)
    assert end.usage.input_tokens == whole.usage.input_tokens
    cut = message(max_tokens=5)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 5)
    stop = whole.content[0].text.split(" ")[4]
    stopped = message(stop_sequences=["nowhere", stop])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", stop)
    _, end = events(stop_sequences=["nowhere", stop])
    assert (end.delta.stop_reason, end.delta.stop_sequence) == ("stop_sequence", stop)


def thoughts():
    for thinking in [THINK, {"type": "adaptive"}, {**THINK, "display": "omitted"}, {"type": "between_tools"}]:
        whole = message(thinking=thinking)
        first = whole.content[0]
        assert first.type == "thinking" and first.signature, whole
        is_omitted = thinking.get("display") == "omitted"
        assert (first.thinking == "") == is_omitted, whole
        blocks, _ = events(thinking=thinking)
        assert [block[0].type for block in blocks] == ["thinking", "text"]
        assert blocks[0][1:] == [first.thinking, first.signature]
        message(thinking=thinking, messages=[
            *SAY, {"role": "assistant", "content": [block.model_dump() for block in whole.content]},
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "And then?"}])


def tools():
    for choice in [{"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "get_weather"}]:
        whole = message(tools=[TOOL], tool_choice=choice, messages=ASK)
        uses = [block for block in whole.content if block.type == "tool_use"]
        assert whole.stop_reason == "tool_use" and all(use.id.startswith("toolu_") for use in uses), whole
        blocks, end = events(tools=[TOOL], tool_choice=choice, messages=ASK)
        streamed = [(block, text) for block, text, *_ in blocks if block.type == "tool_use"]
        assert all(block.input == {} for block, _ in streamed)
        assert [json.loads(text) for _, text in streamed] == [use.input for use in uses]
        assert end.delta.stop_reason == "tool_use"
    one = message(tools=[TOOL], messages=ASK,
                  tool_choice={"type": "any", "disable_parallel_tool_use": True})
    assert len([block for block in one.content if block.type == "tool_use"]) == 1
    assert {use.input["city"] for use in uses} == {"Paris", "Rome"}, uses
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "18 degrees"} for use in uses]
    turns = [*ASK, {"role": "assistant", "content": whole.model_dump(exclude_none=True)["content"]},
             {"role": "user", "content": results}]
    assert "18" in message(tools=[TOOL], messages=turns).content[0].text
    assert message(tools=[TOOL], tool_choice={"type": "none"}, messages=ASK).content[0].type == "text"


def cache():
    for ttl, member in [("5m", "ephemeral_5m_input_tokens"), ("1h", "ephemeral_1h_input_tokens")]:
        system = [{"type": "text", "text": f"{uuid.uuid4()}: " + "The tide is long. " * 900,
                   "cache_control": {"type": "ephemeral", "ttl": ttl}}]
        written = message(system=system, max_tokens=9).usage
        assert getattr(written.cache_creation, member) > 1024, written
        read = message(system=system, max_tokens=9).usage
        assert read.cache_read_input_tokens == written.cache_creation_input_tokens, read
        _, end = events(system=system, max_tokens=9)
        assert end.usage.cache_read_input_tokens == read.cache_read_input_tokens


def others():
    count = http.post("/v1/messages/count_tokens", json={"model": MODEL, "messages": SAY})
    assert held(types.MessageTokensCount, count.json()).input_tokens == message().usage.input_tokens
    page = http.get("/v1/models", params={"limit": 3}).json()
    assert set(page) == {"data", "has_more", "first_id", "last_id"} and page["has_more"], page
    for model in page["data"]:
        held(types.ModelInfo, model)
    known = held(types.ModelInfo, http.get(f"/v1/models/{MODEL}").json())
    assert (known.max_input_tokens, known.max_tokens) == (200_000, 64_000), known


def errors():
    bad = {"model": MODEL, "max_tokens": 9, "messages": SAY}
    for status, path, body in [
        (400, "/v1/messages", {**bad, "max_tokens": 0}), (400, "/v1/messages", {**bad, "messages": []}),
        (400, "/v1/messages", {"model": MODEL, "messages": SAY}), (400, "/v1/messages", {**bad, "temperature": 2}),
        (400, "/v1/messages", {**bad, "thinking": {"type": "enabled", "budget_tokens": 5}}),
        (400, "/v1/messages", {**bad, "tool_choice": {"type": "tool", "name": "x"}}),
        (400, "/v1/messages", {**bad, "max_tokens": "many"}),
        (400, "/v1/messages", {**bad, "messages": [{"role": "user", "content": "a " * 250_000}]}),
        (404, "/v1/messages", {**bad, "model": "nobody"}), (404, "/v1/messages/batches", {"requests": []}),
        (404, "/v1/models/nobody", None), (400, "/v1/models?limit=0", None),
        (400, "/v1/messages/count_tokens", {"model": MODEL}),
    ]:
        answer = http.get(path) if body is None else http.post(path, json=body)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        told = held(types.ErrorResponse, answer.json())
        assert (told.type, told.error.type) == ("error", ERRORS[status]), answer.text
        assert told.error.message and told.request_id == answer.headers["request-id"], answer.text
        # A stream that cannot begin is refused like any other.
        if body is not None and path == "/v1/messages":
            assert http.post(path, json={**body, "stream": True}).status_code == status


messages()
thoughts()
tools()
cache()
others()
errors()
print("anthropic's types ok")
