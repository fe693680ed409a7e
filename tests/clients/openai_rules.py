"""What OpenAI's API keeps to, whatever a model says: a wrong request is refused by the name of what
is wrong in it, Azure's paths lead to the same, and what is kept is there until it is deleted."""

import sys
import uuid
import warnings

import anthropic
import httpx2 as httpx
import openai

import media
from checks import refused

# Names of models that the SDK says goodbye to are names here.
warnings.simplefilter("ignore", DeprecationWarning)
URL = sys.argv[1]
client = openai.OpenAI(base_url=URL + "/v1", api_key="any", max_retries=0)
http = httpx.Client(base_url=URL, timeout=60)
SAY = [{"role": "user", "content": "x"}]
INSTRUCT = "gpt-3.5-turbo-instruct"
SMALL = "text-embedding-3-small"
TEXT = {"type": "string"}


def chat(**more):
    return client.chat.completions.create(**{"model": "gpt-4o", "messages": SAY, **more})


def respond(**more):
    return client.responses.create(**{"model": "gpt-4o", "input": "x", **more})


def complete(**more):
    return client.completions.create(**{"model": INSTRUCT, "prompt": "x", **more})


def embed(**more):
    return client.embeddings.create(**{"model": SMALL, "input": "x", **more})


def refused_for(param, call, **more):
    error = refused(openai.BadRequestError, lambda: call(**more))
    assert error.param == param, (more, error.param, error)
    return error


def tool(name="f", **more):
    return {"type": "function", "function": {"name": name, **more}}


def send_members_of_a_wrong_kind():
    for body, param in [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"presence_penalty": 5}, "presence_penalty"),
        ({"n": 0}, "n"),
        ({"n": "2"}, "n"),
        ({"seed": "x"}, "seed"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"model": 5}, "model"),
        ({"messages": "x"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"top_logprobs": 5}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"5": 200}}, "logit_bias.5"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_object"}}, "messages"),
        ({"tools": [{"type": "x"}]}, "tools[0].type"),
        ({"tools": [tool()] * 129}, "tools"),
        ({"tools": [tool("a b")]}, "tools[0].function.name"),
        ({"tools": [tool(strict=True, parameters={
            "type": "object", "properties": {"a": TEXT}, "required": [],
            "additionalProperties": False})]}, "tools[0].function.parameters"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [tool()], "tool_choice": tool("g")}, "tool_choice"),
        ({"messages": [
            *SAY, {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c1", **tool(arguments="{}")}]}, *SAY]},
         "messages[1].tool_calls"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {
            "url": "data:image/png;base64,!!"}}]}]},
         "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "user", "content": [media.image_part(2, 2, detail="super")]}]},
         "messages[0].content[0].image_url.detail"),
        ({"metadata": {"a": 5}}, "metadata.a"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"service_tier": "gold"}, "service_tier"),
        ({"verbosity": "huge"}, "verbosity"),
        ({"modalities": ["smell"]}, "modalities"),
        ({"foo_bar": 1}, "foo_bar"),
    ]:
        answer = http.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": SAY, **body})
        assert answer.status_code == 400, (body, answer.status_code, answer.text)
        error = answer.json()["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", param), (body, error)


def ask_other_endpoints_wrongly():
    for call, more, param in [
        (complete, {"n": 3, "best_of": 2}, "best_of"),
        (complete, {"best_of": 2, "stream": True}, "best_of"),
        (complete, {"logprobs": 6}, "logprobs"),
        (complete, {"prompt": [999_999_999]}, "prompt"),
        (embed, {"input": ""}, "input"),
        (embed, {"input": []}, "input"),
        (embed, {"input": ["x"] * 2049}, "input"),
        (embed, {"input": "word " * 9000}, "input"),
        (embed, {"dimensions": 0}, "dimensions"),
        (embed, {"dimensions": 5000}, "dimensions"),
        (respond, {"store": False, "background": True}, "store"),
    ]:
        refused_for(param, call, **more)


def ask_where_nothing_is():
    for method, path, status in [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/chat/completions/chatcmpl-nope", 404),
        ("PUT", "/v1/chat/completions", 405),
    ]:
        answer = http.request(method, path)
        assert answer.status_code == status, (method, path, answer.status_code)
        assert answer.json()["error"]["type"] == "invalid_request_error", (path, answer.text)
    answer = http.post("/v1/chat/completions", content=b'{"model":',
                       headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error", answer.text
    for call in [lambda: client.models.retrieve("nope"), lambda: chat(model="nope")]:
        assert refused(openai.NotFoundError, call).code == "model_not_found"
    listed = {model.id for model in client.models.list()}
    for name in ["gpt-4o", "gpt-5-mini", "o4-mini", "openai/gpt-oss-20b", SMALL, "claude-sonnet-4-5", "fake"]:
        assert name in listed and client.models.retrieve(name).id == name, name


def send_more_than_a_model_reads():
    big = "word " * 150_000
    said = [{"role": "user", "content": big}]
    for call in [
        lambda: chat(messages=said),
        lambda: chat(messages=said, stream=True),
        lambda: respond(input=big),
        lambda: respond(input=big, stream=True),
        lambda: complete(prompt="word " * 5000),
    ]:
        assert refused(openai.BadRequestError, call).code == "context_length_exceeded"
    cut = respond(truncation="auto", input=[
        *said, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "hi"}])
    assert cut.usage.input_tokens < 128_000, cut.usage
    claude = anthropic.Anthropic(base_url=URL, api_key="any", max_retries=0)
    error = refused(anthropic.BadRequestError, lambda: claude.messages.create(
        model="claude-sonnet-4-5", max_tokens=10, messages=[{"role": "user", "content": "word " * 210_000}]))
    assert "prompt is too long" in str(error), error


def come_from_azure():
    azure = openai.AzureOpenAI(azure_endpoint=URL, api_key="any", api_version="2026-01-01", max_retries=0)
    create = azure.chat.completions.create
    assert create(model="gpt-4o", messages=SAY).choices[0].message.content
    assert list(create(model="gpt-4o", messages=SAY, stream=True))
    assert azure.completions.create(model=INSTRUCT, prompt="x", max_tokens=3).choices[0].text
    assert len(azure.embeddings.create(model=SMALL, input="x", dimensions=8).data[0].embedding) == 8
    assert azure.responses.create(model="gpt-4o", input="hi").output_text
    assert azure.moderations.create(input="x").results
    assert "gpt-4o" in [model.id for model in azure.models.list()]
    refused(openai.NotFoundError, lambda: create(model="nobody", messages=SAY))
    for call in [
        lambda: azure.images.generate(model="gpt-4o", prompt="x"),
        lambda: azure.audio.speech.create(model="gpt-4o", voice="alloy", input="x"),
        lambda: azure.audio.transcriptions.create(model="gpt-4o", file=("a.wav", b"x")),
    ]:
        assert refused(openai.NotFoundError, call).code == "unknown_url"


def come_back_to_what_was_kept():
    unkept = respond(store=False)
    refused(openai.NotFoundError, lambda: client.responses.retrieve(unkept.id))
    first = respond()
    second = respond(previous_response_id=first.id)
    client.responses.delete(first.id)
    error = refused_for("previous_response_id", respond, previous_response_id=first.id)
    assert error.code == "previous_response_not_found", error
    # What came after it cannot be gone on with, either.
    refused_for("previous_response_id", respond, previous_response_id=second.id)
    turns = respond(input=[*SAY, {"role": "assistant", "content": "y"}, {"role": "user", "content": "z"}])
    for more, expected in [({"order": "asc"}, ["x", "y", "z"]), ({"limit": 2}, ["z", "y"])]:
        items = client.responses.input_items.list(turns.id, **more).data
        assert [item.content[0].text for item in items] == expected, (more, items)


def change_a_conversation():
    talk = client.conversations.create(items=[{"type": "message", **SAY[0]}])
    answer = respond(conversation=talk.id)
    items = lambda: client.conversations.items.list(talk.id).data
    assert len(items()) == 3, items()
    refused(openai.BadRequestError, lambda: respond(conversation=talk.id, previous_response_id=answer.id))
    assert client.conversations.update(talk.id, metadata={"a": "b"}).metadata == {"a": "b"}
    client.conversations.items.delete(items()[0].id, conversation_id=talk.id)
    assert len(items()) == 2, items()
    assert client.conversations.delete(talk.id).deleted
    refused(openai.NotFoundError, lambda: client.conversations.retrieve(talk.id))


def leave_an_answer_to_the_background():
    # So long that it is not at its end before it is cancelled.
    essay = respond(model="gpt-5", input="Write a very long essay", background=True,
                    max_output_tokens=100_000)
    for _ in range(2):
        ended = client.responses.cancel(essay.id)
        assert ended.status == "cancelled", ended
    refused(openai.BadRequestError, lambda: client.responses.cancel(respond().id))
    events = list(respond(input="Tell me about rain", background=True, stream=True))
    rest = client.responses.retrieve(events[0].response.id, stream=True, starting_after=5)
    assert [event.sequence_number for event in rest] == [event.sequence_number for event in events[6:]]


def watch_a_response_begin_and_end():
    """Each part of a response is opened, filled, and closed, in this order."""
    events = list(respond(model="gpt-5", reasoning={"effort": "low", "summary": "auto"}, stream=True))
    told = list(dict.fromkeys(event.type.removeprefix("response.") for event in events))
    assert told == [
        "created", "in_progress", "output_item.added", "reasoning_summary_part.added",
        "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done",
        "output_item.done", "content_part.added", "output_text.delta", "output_text.done",
        "content_part.done", "completed"], told
    assert events[-1].response.usage.output_tokens_details.reasoning_tokens > 0, events[-1]


def count_tokens():
    count = client.responses.input_tokens.count(model="gpt-4o", input="hello world").input_tokens
    assert count == respond(input="hello world").usage.input_tokens
    rules = {"role": "system", "content": f"{uuid.uuid4()}: " + "The quick brown fox. " * 400}
    first, second = [chat(messages=[rules, {"role": "user", "content": said}]).usage.prompt_tokens_details
                     for said in ["a", "b"]]
    assert first.cached_tokens == 0, first
    assert second.cached_tokens >= 1024 and second.cached_tokens % 128 == 0, second
    predicted = chat(prediction={"type": "content", "content": "class A: pass"}).usage
    assert predicted.completion_tokens_details.accepted_prediction_tokens is not None, predicted


send_members_of_a_wrong_kind()
ask_other_endpoints_wrongly()
ask_where_nothing_is()
send_more_than_a_model_reads()
come_from_azure()
come_back_to_what_was_kept()
change_a_conversation()
leave_an_answer_to_the_background()
watch_a_response_begin_and_end()
count_tokens()
print("openai's rules ok")
