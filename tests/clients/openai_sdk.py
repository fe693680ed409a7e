"""What programs do with OpenAI's SDK, against a server that needs no key."""

import sys
import typing

import openai
from openai.types import embedding_create_params
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

# What the SDK has a name for is known here.
SAMPLES = {"stream": False, "n": 1, "max_tokens": 5, "functions": None, "function_call": None}
for params, create, base in [
    (completion_create_params.CompletionCreateParamsBase, chat, {}),
    (embedding_create_params.EmbeddingCreateParams, client.embeddings.create,
     {"model": "fake", "input": "x"}),
]:
    for name in typing.get_type_hints(params):
        if name not in base and name not in ("messages", "model"):
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
