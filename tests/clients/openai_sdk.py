"""What programs do with OpenAI's SDK, against a server that needs no key."""

import sys
import typing

import openai
from openai.types import embedding_create_params
from openai.types.completion_create_params import CompletionCreateParamsBase as TextParams
from openai.types.responses import response_create_params
from openai.types.chat import completion_create_params

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="any", max_retries=0)
SAY = [{"role": "user", "content": "Say something."}]


def chat(**more):
    return client.chat.completions.create(**{"model": "fake", "messages": SAY, **more})


def refused(kind, param, call):
    try:
        call()
    except kind as error:
        assert error.param == param, (error.param, error)
        assert "::" not in str(error), error
        return error
    raise AssertionError(f"nobody refused {param}")


assert "fake" in [model.id for model in client.models.list()]
assert chat(max_tokens=5).usage.completion_tokens <= 5

chunks = list(chat(stream=True, stream_options={"include_usage": True}))
assert chunks[-1].usage.completion_tokens > 0
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])

for effort in ["none", "minimal", "low", "medium", "high", "xhigh", "max"]:
    chat(reasoning_effort=effort)

TOOLS = [
    {"type": "function", "function": {"name": "look", "parameters": {
        "type": "object", "properties": {"at": {"type": "string", "pattern": r"^[^@\s]+@[^@\s]+$"}},
        "required": ["at"], "additionalProperties": False}, "strict": True}},
    {"type": "custom", "custom": {"name": "calc"}},
]
answer = chat(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "look"}})
message = answer.choices[0].message
call = message.tool_calls[0]
assert call.function.name == "look"
chat(tools=TOOLS, messages=[*SAY, message, {"role": "tool", "tool_call_id": call.id, "content": "x"}])
custom = chat(tools=TOOLS, tool_choice={"type": "custom", "custom": {"name": "calc"}})
assert custom.choices[0].message.tool_calls[0].custom.name == "calc"

# The SDK asks for base64 and unpacks it.
vectors = client.embeddings.create(model="fake", input=["a", "b"], dimensions=8)
assert [len(one.embedding) for one in vectors.data] == [8, 8]

texts = client.completions.create(model="fake", prompt=["a", "b"], n=2, max_tokens=5, logprobs=1)
assert [choice.index for choice in texts.choices] == [0, 1, 2, 3]
assert len(texts.choices[0].logprobs.tokens) == 5
parts = client.completions.create(model="fake", prompt="a", max_tokens=5, stream=True)
assert "".join(part.choices[0].text for part in parts)


def respond(**more):
    return client.responses.create(**{
        "model": "gpt-5-mini", "input": "Tell me about the sea.", "max_output_tokens": 600, **more})


first = respond()
assert first.output_text and first.usage.total_tokens > 0
with client.responses.stream(model="gpt-5-mini", input="Tell me about the sea.",
                             max_output_tokens=600) as stream:
    for event in stream:
        pass
    assert stream.get_final_response().output_text == first.output_text
second = respond(input="And then?", previous_response_id=first.id)
assert second.previous_response_id == first.id
assert client.responses.retrieve(first.id).output_text == first.output_text
assert client.responses.input_items.list(first.id).data[0].content[0].text
client.responses.delete(first.id)
refused(openai.NotFoundError, None, lambda: client.responses.retrieve(first.id))
refused(openai.BadRequestError, "previous_response_id",
        lambda: respond(previous_response_id=first.id))
tool = {"type": "function", "name": "look", "parameters": {
    "type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"],
    "additionalProperties": False}, "strict": True}
called = respond(tools=[tool], tool_choice="required", max_output_tokens=300)
item = next(item for item in called.output if item.type == "function_call")
answered = respond(previous_response_id=called.id, tools=[tool], input=[
    {"type": "function_call_output", "call_id": item.call_id, "output": "a ship"}])
assert answered.output_text
later = respond(background=True)
while later.status in ("queued", "in_progress"):
    later = client.responses.retrieve(later.id)
assert later.output_text
said = respond(input="Let us meet in Lisbon on 2026-03-05.")
short = client.responses.compact(model="gpt-5-mini", previous_response_id=said.id, input=[
    {"role": "user", "content": "At noon."}, {"role": "assistant", "content": "Fine."}])
assert [item.type for item in short.output] == ["message", "message", "compaction"]
assert short.object == "response.compaction" and short.usage.output_tokens > 0
texts = [item.content[0].text for item in short.output[:-1]]
assert texts == ["Let us meet in Lisbon on 2026-03-05.", "At noon."], texts
assert respond(input=[*[item.model_dump(exclude_none=True, warnings=False) for item in short.output],
                      {"role": "user", "content": "And then?"}]).output_text
broken = [{"type": "compaction", "encrypted_content": "!"}]
refused(openai.BadRequestError, "input[0].encrypted_content", lambda: respond(input=broken))
refused(openai.BadRequestError, "input", lambda: client.responses.compact(model="gpt-5-mini"))
talk = client.conversations.create(metadata={"topic": "sea"})
respond(conversation=talk.id)
assert [item.role for item in client.conversations.items.list(talk.id, order="asc")] == [
    "user", "assistant"]
client.conversations.delete(talk.id)

# What the SDK has a name for is known here.
SAMPLES = {"stream": False, "n": 1, "max_tokens": 5, "functions": None, "function_call": None}
for params, create, base in [
    (completion_create_params.CompletionCreateParamsBase, chat, {}),
    (embedding_create_params.EmbeddingCreateParams, client.embeddings.create,
     {"model": "fake", "input": "x"}),
    (TextParams, client.completions.create, {"model": "fake", "prompt": "x"}),
    (response_create_params.ResponseCreateParamsBase, respond, {"store": False}),
]:
    for name in typing.get_type_hints(params):
        if name not in base and name not in ("messages", "model", "input"):
            create(**base, extra_body={name: SAMPLES.get(name)})

chat(extra_body={"ignore_eos": True, "min_tokens": 2, "chat_template_kwargs": {"a": 1}}, max_tokens=5)

refused(openai.BadRequestError, "max_tokns", lambda: chat(extra_body={"max_tokns": 5}))
refused(openai.BadRequestError, "stop", lambda: chat(stop=list("abcde")))
refused(openai.BadRequestError, "tools", lambda: chat(tools=[]))
refused(openai.BadRequestError, "max_tokens", lambda: chat(max_tokens=5, max_completion_tokens=5))
refused(openai.BadRequestError, "messages[0].role",
        lambda: chat(messages=[{"role": "tool", "tool_call_id": "x", "content": "y"}]))
refused(openai.NotFoundError, "model", lambda: chat(model="nobody"))
stranger = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="sk-belljar-" + "0" * 64, max_retries=0)
assert refused(openai.AuthenticationError, None, stranger.models.list).code == "invalid_api_key"

raw = client.with_raw_response.models.list()
assert int(raw.headers["openai-processing-ms"]) >= 0
print("openai", openai.__version__, "ok")
