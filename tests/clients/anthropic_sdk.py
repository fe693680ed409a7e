"""What programs do with Anthropic's SDK, against a server that needs no key."""

import json
import sys
import typing
import warnings

import anthropic
from anthropic.types import content_block_param, message_count_tokens_params
from anthropic.types import message_create_params, tool_union_param

# Names of models that the SDK says goodbye to are names here.
warnings.simplefilter("ignore", DeprecationWarning)
client = anthropic.Anthropic(base_url=sys.argv[1], api_key="any", max_retries=0)
SAY = [{"role": "user", "content": "Say something about the sea."}]
WEATHER = {"name": "get_weather", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


def say(**more):
    return client.messages.create(**{
        "model": "claude-sonnet-4-5", "max_tokens": 60, "messages": SAY, **more})


def refused(kind, call):
    try:
        call()
    except kind as error:
        assert error.request_id and "::" not in str(error), error
        return error
    raise AssertionError("nobody refused")


message = say()
assert message.content[0].text and message.stop_reason in ("end_turn", "max_tokens")
assert 0 < message.usage.output_tokens <= 60

with client.messages.stream(model="claude-sonnet-4-5", max_tokens=60, messages=SAY) as stream:
    text = "".join(stream.text_stream)
    final = stream.get_final_message()
assert text == final.content[0].text == message.content[0].text
assert final.usage.output_tokens == message.usage.output_tokens

word = text.split(" ")[5]
stopped = say(stop_sequences=[word])
assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", word)
assert text.startswith(stopped.content[0].text)

thinking = {"type": "enabled", "budget_tokens": 1024}
thought = say(max_tokens=2000, thinking=thinking)
assert [block.type for block in thought.content] == ["thinking", "text"]
say(max_tokens=2000, thinking=thinking, messages=[
    *SAY, {"role": "assistant", "content": thought.content}, {"role": "user", "content": "Go on."}])

question = {"role": "user", "content": "What is the weather in Paris?"}
called = say(tools=[WEATHER], tool_choice={"type": "any"}, messages=[question], max_tokens=300)
assert called.stop_reason == "tool_use"
use = next(block for block in called.content if block.type == "tool_use")
assert use.name == "get_weather" and isinstance(use.input["city"], str)
answered = say(tools=[WEATHER], messages=[
    question, {"role": "assistant", "content": called.content},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "18"}]}])
assert answered.content[0].type == "text"
with client.messages.stream(model="claude-sonnet-4-5", max_tokens=300, messages=[question],
                            tools=[WEATHER], tool_choice={"type": "any"}) as stream:
    streamed = stream.get_final_message()
assert any(block.type == "tool_use" and block.input for block in streamed.content)

schema = {"type": "object", "properties": {"name": {"type": "string"}},
          "required": ["name"], "additionalProperties": False}
written = say(max_tokens=300, output_config={"format": {"type": "json_schema", "schema": schema}})
assert isinstance(json.loads(written.content[0].text)["name"], str)

count = client.messages.count_tokens(model="claude-sonnet-4-5", messages=SAY).input_tokens
assert count == message.usage.input_tokens
models = client.models.list(limit=3)
assert len(models.data) == 3 and len(list(client.models.list(limit=3))) > 5
assert client.models.retrieve("claude-sonnet-4-5").id == "claude-sonnet-4-5"

# What the SDK has a name for is known here.
for params, call, base in [
    (message_create_params.MessageCreateParamsBase, say, {}),
    (message_count_tokens_params.MessageCountTokensParams, client.messages.count_tokens,
     {"model": "fake", "messages": SAY}),
]:
    for name in typing.get_type_hints(params):
        if name not in ("model", "messages", "max_tokens"):
            call(**base, extra_body={name: None})
for tool in typing.get_args(tool_union_param.ToolUnionParam):
    kind = typing.get_args(typing.get_type_hints(tool)["type"])[0]
    if "custom" not in str(kind):
        say(tools=[{"type": kind}])

refused(anthropic.NotFoundError, lambda: say(model="nobody"))
refused(anthropic.BadRequestError, lambda: say(max_tokens=0))
refused(anthropic.BadRequestError, lambda: say(messages=[{"role": "system", "content": "x"}]))
refused(anthropic.BadRequestError, lambda: say(extra_body={"max_tokns": 5}))
stranger = anthropic.Anthropic(
    base_url=sys.argv[1], api_key="sk-belljar-" + "0" * 64, max_retries=0)
refused(anthropic.AuthenticationError, stranger.models.list)
print("anthropic", anthropic.__version__, "ok")
