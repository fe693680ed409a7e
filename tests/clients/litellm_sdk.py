"""What programs do with litellm, against a server that needs no key: over OpenAI's API, over that
of servers that speak it (`hosted_vllm`), over Azure's spelling and over Anthropic's API."""

import asyncio
import json
import os
import sys

# It asks the internet for prices and names of headers, unless told that what it has will do.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"
import litellm
from pydantic import BaseModel, Field

from checks import refused

litellm.telemetry = False
litellm.suppress_debug_info = True
URL = sys.argv[1]
SAY = [{"role": "user", "content": "Tell me about the sea."}]
WAYS = {
    "openai": {"model": "openai/gpt-4o-mini", "api_base": URL + "/v1"},
    "vllm": {"model": "hosted_vllm/fake", "api_base": URL + "/v1"},
    "azure": {"model": "azure/gpt-4o-mini", "api_base": URL, "api_version": "2025-04-01-preview"},
    "anthropic": {"model": "anthropic/claude-sonnet-4-5", "api_base": URL},
}
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a place", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


class Trip(BaseModel):
    city: str
    nights: int = Field(ge=1, le=30)


def told(chunks):
    chunks = list(chunks)
    return chunks, "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def try_way(name, way):
    way = {"api_key": "any", "num_retries": 0, **way}
    answer = litellm.completion(messages=SAY, **way)
    text = answer.choices[0].message.content
    assert "sea" in text.lower() and answer.choices[0].finish_reason == "stop", (name, answer)
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0, (name, usage)
    chunks, streamed = told(litellm.completion(
        messages=SAY, stream=True, stream_options={"include_usage": True}, **way))
    assert streamed == text, (name, streamed, text)
    assert chunks[-1].usage.completion_tokens == usage.completion_tokens, (name, chunks[-1])
    short = litellm.completion(messages=SAY, max_tokens=4, **way)
    assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens == 4, name

    # A loop of tools: asked, called, answered.
    messages = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
    turn = litellm.completion(messages=messages, tools=[WEATHER], **way).choices[0]
    assert turn.finish_reason == "tool_calls", (name, turn)
    cities = [json.loads(call.function.arguments)["city"] for call in turn.message.tool_calls]
    assert cities == ["Paris", "Rome"], (name, cities)
    messages.append(turn.message)
    for call in turn.message.tool_calls:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 18}'})
    final = litellm.completion(messages=messages, tools=[WEATHER], **way).choices[0]
    assert final.finish_reason == "stop" and "18" in final.message.content, (name, final)
    chunks = list(litellm.completion(messages=messages[:1], tools=[WEATHER], stream=True, **way))
    rebuilt = litellm.stream_chunk_builder(chunks, messages=messages[:1]).choices[0].message
    assert [json.loads(call.function.arguments)["city"] for call in rebuilt.tool_calls] == cities, name

    trip = litellm.completion(
        messages=[{"role": "user", "content": "Paris, 4 nights"}], response_format=Trip, **way)
    assert Trip.model_validate_json(trip.choices[0].message.content) == Trip(
        city="Paris", nights=4), (name, trip)

    async def later():
        one = await litellm.acompletion(messages=SAY, **way)
        parts = [part async for part in await litellm.acompletion(messages=SAY, stream=True, **way)]
        return one.choices[0].message.content, told(parts)[1]

    assert asyncio.run(later()) == (text, text), name
    refused(litellm.NotFoundError, lambda: litellm.completion(
        messages=SAY, **{**way, "model": way["model"].split("/")[0] + "/nobody"}))
    stranger = {**way, "api_key": "sk-belljar-" + "0" * 64}
    refused(litellm.AuthenticationError, lambda: litellm.completion(messages=SAY, **stranger))
    refused(litellm.BadRequestError, lambda: litellm.completion(messages=[], **way))


for name, way in WAYS.items():
    try_way(name, way)

for name in ["openai", "vllm", "azure"]:
    way = {**WAYS[name], "api_key": "any"}
    way["model"] = way["model"].replace("gpt-4o-mini", "text-embedding-3-small")
    vectors = litellm.embedding(input=["the blue sea", "a sea of blue", "tax law"], **way).data
    one, near, far = [vector["embedding"] for vector in vectors]
    product = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert abs(product(one, one) - 1) < 1e-3 and product(one, near) > product(one, far), name

moderated = litellm.moderation(
    input="I will kill you.", model="omni-moderation-latest", api_base=URL + "/v1", api_key="any")
assert moderated.results[0].flagged
for model in ["cohere/rerank-v3.5", "jina_ai/jina-reranker-v2-base-multilingual", "hosted_vllm/fake"]:
    base = URL + "/v1/rerank" if model.startswith("cohere") else URL + "/v1"
    ranked = litellm.rerank(
        model=model, query="the sea", documents=["tax law", "the sea is blue"], top_n=1,
        api_base=base, api_key="any")
    assert [one["index"] for one in ranked.results] == [1], (model, ranked)
response = litellm.responses(
    model="openai/gpt-5-mini", input="Tell me about the sea.", api_base=URL + "/v1", api_key="any")
assert "sea" in response.output[-1].content[0].text.lower(), response
print("litellm ok")
