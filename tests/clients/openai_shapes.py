"""Answers held against the types of OpenAI's SDK, which itself takes whatever it is given: every
member has its type, none that must be there is missing, and few are there that it does not know."""

import sys
import time
import typing

import httpx2 as httpx
import pydantic
from openai import types
from openai.types import chat, conversations, responses

from held import held as held_by_type

http = httpx.Client(base_url=sys.argv[1], timeout=60)
SAY = [{"role": "user", "content": "Tell me about the sea."}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
           "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
FUNCTION = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
# What other servers tell of thoughts, what every response says of itself, and what the name of a
# finished call and the bytes of a token are beside what is documented.
BESIDES = {"reasoning_content", "store", "name", "bytes", "request_id", "tool_choice", "seed",
           "top_p", "temperature", "presence_penalty", "frequency_penalty", "input_user", "tools",
           "response_format", "metadata", "content_parts", "role"}


def held(kind, value):
    return held_by_type(kind, value, BESIDES)


def ask(kind, path, body=None, method=None):
    answer = http.request(method or ("POST" if body is not None else "GET"), path, json=body)
    assert answer.status_code == 200, (path, body, answer.status_code, answer.text)
    return held(kind, answer.json()) if kind else answer.json()


def events(path, body=None):
    """The events of a stream, each with its name."""
    method = "GET" if body is None else "POST"
    with http.stream(method, path, json=body) as answer:
        assert answer.status_code == 200, (path, body, answer.status_code)
        name = None
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, line.removeprefix("data: ")


def stream(kind, path, body):
    told = list(events(path, {**body, "stream": True}))
    assert told[-1] == (None, "[DONE]")
    return [held(kind, pydantic.TypeAdapter(dict).validate_json(data)) for _, data in told[:-1]]


def completions():
    path = "/v1/chat/completions"
    create = lambda **more: ask(chat.ChatCompletion, path, {"model": "gpt-4o", "messages": SAY, **more})
    create(n=3, logprobs=True, top_logprobs=3, max_tokens=5)
    create(tools=[TOOL], tool_choice="required", parallel_tool_calls=True)
    create(reasoning_effort="high")
    assert create(service_tier="flex").service_tier == "flex"
    assert len(create(n=128, max_tokens=2).choices) == 128
    for more in [{"stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 1},
                 {"tools": [TOOL], "tool_choice": "required"}, {"reasoning_effort": "low"}]:
        stream(chat.ChatCompletionChunk, path, {"model": "gpt-4o", "messages": SAY, **more})
    kept = create(store=True, metadata={"topic": "shapes"}, temperature=0.5, seed=7, tools=[TOOL])
    page = ask(None, path + "?metadata[topic]=shapes&limit=1&order=desc")
    assert [one["id"] for one in page["data"]] == [kept.id], page
    shown = ask(None, f"{path}/{kept.id}")
    held(chat.ChatCompletion, shown)
    assert (shown["temperature"], shown["seed"], shown["top_p"]) == (0.5, 7, 1), shown
    assert shown["tools"] == [TOOL] and shown["metadata"] == {"topic": "shapes"}, shown
    message = ask(None, f"{path}/{kept.id}/messages")["data"][0]
    assert (message["role"], message["content"]) == ("user", SAY[0]["content"]), message
    held(chat.ChatCompletionStoreMessage, {**message, "role": "assistant"})
    changed = ask(chat.ChatCompletion, f"{path}/{kept.id}", {"metadata": {"topic": "other"}})
    assert changed.metadata == {"topic": "other"}
    ask(chat.ChatCompletionDeleted, f"{path}/{kept.id}", method="DELETE")
    prompt = {"model": "fake", "prompt": ["a", "b"], "n": 2, "logprobs": 2, "max_tokens": 4}
    ask(types.Completion, "/v1/completions", prompt)


def others():
    for name, length in [("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072),
                         ("text-embedding-ada-002", 1536)]:
        vectors = ask(types.CreateEmbeddingResponse, "/v1/embeddings", {"model": name, "input": "a"})
        assert len(vectors.data[0].embedding) == length, name
    ask(types.ModerationCreateResponse, "/v1/moderations", {"input": ["hello", "I will kill you"]})
    ask(types.Model, "/v1/models/gpt-4o")
    for model in ask(None, "/v1/models")["data"]:
        held(types.Model, model)


def response_events(body):
    told = []
    for number, (name, data) in enumerate(events("/v1/responses", {**body, "stream": True})):
        event = held(responses.ResponseStreamEvent, pydantic.TypeAdapter(dict).validate_json(data))
        assert (event.type, event.sequence_number) == (name, number), (name, event)
        told.append(event)
    return told


def all_responses():
    path = "/v1/responses"
    base = {"model": "gpt-5-mini", "input": "Tell me about the sea."}
    create = lambda **more: ask(responses.Response, path, {**base, **more})
    create(reasoning={"effort": "high", "summary": "auto"}, metadata={"a": "b"}, user="u",
           include=["reasoning.encrypted_content"], truncation="auto", max_tool_calls=3)
    create(tools=[FUNCTION], tool_choice="required")
    create(text={"format": {"type": "json_schema", "name": "t", "strict": True, "schema": WEATHER}})
    create(top_logprobs=2, include=["message.output_text.logprobs"], max_output_tokens=16)
    later = create(background=True)
    while later.status in ("queued", "in_progress"):
        time.sleep(0.02)
        later = ask(responses.Response, f"{path}/{later.id}")
    ask(responses.ResponseItemList, f"{path}/{later.id}/input_items")
    first, *_ = events(f"{path}/{later.id}?stream=true&starting_after=3")
    assert '"sequence_number":4' in first[1], first
    secret = create(reasoning={"effort": "low"}, store=False, include=["reasoning.encrypted_content"])
    assert secret.output[0].encrypted_content, secret
    create(input=[*[item.model_dump() for item in secret.output], {"role": "user", "content": "And?"}])
    response_events({**base, "max_output_tokens": 20, "include": ["message.output_text.logprobs"]})
    response_events({**base, "tools": [FUNCTION], "tool_choice": "required",
                     "reasoning": {"effort": "low", "summary": "detailed"}})
    short = ask(None, path + "/compact", base)
    held(responses.CompactedResponse, {**short, "output": short["output"][-1:]})
    talk = ask(conversations.Conversation, "/v1/conversations", {
        "items": [{"type": "message", "role": "user", "content": "hello"}]})
    create(conversation=talk.id)
    page = f"/v1/conversations/{talk.id}/items"
    part = {"type": "input_text", "text": "x"}
    new = ask(conversations.ConversationItemList, page, {
        "items": [{"type": "message", "role": "user", "content": [part]}]})
    ask(conversations.ConversationItem, f"{page}/{new.data[0].id}")
    assert len(ask(conversations.ConversationItemList, page + "?order=asc").data) == 4


completions()
others()
all_responses()
print("openai's types ok")
