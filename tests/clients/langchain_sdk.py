"""What programs do with langchain-openai, against a server that needs no key."""

import asyncio
import sys

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI, AzureOpenAIEmbeddings, ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

from checks import refused

URL = sys.argv[1]
KEY = {"base_url": URL + "/v1", "api_key": "any", "max_retries": 0}
AZURE = {"azure_endpoint": URL, "api_key": "any", "api_version": "2025-04-01-preview", "max_retries": 0}
SAY = "Tell me about the sea."


class Trip(BaseModel):
    """A journey."""

    city: str
    nights: int = Field(ge=1, le=30)


@tool
def get_weather(city: str) -> str:
    """The weather of a place."""
    return f"18 degrees in {city}"


def text_of(message):
    return message.text if isinstance(message.text, str) else message.text()


def try_model(name, model):
    answer = model.invoke(SAY)
    text = text_of(answer)
    assert "sea" in text.lower(), (name, answer)
    assert answer.usage_metadata["output_tokens"] > 0, (name, answer)
    whole = None
    pieces = 0
    for chunk in model.stream(SAY):
        whole = chunk if whole is None else whole + chunk
        pieces += 1
    assert text_of(whole) == text and pieces > 3, (name, pieces, whole)
    assert whole.usage_metadata == answer.usage_metadata, (name, whole.usage_metadata)

    # A loop of tools, as an agent turns it.
    agent = model.bind_tools([get_weather])
    messages = [HumanMessage("What is the weather in Paris and in Rome?")]
    for _ in range(4):
        turn = agent.invoke(messages)
        messages.append(turn)
        if not turn.tool_calls:
            break
        for call in turn.tool_calls:
            messages.append(get_weather.invoke(call))
    asked = [message.content for message in messages if isinstance(message, ToolMessage)]
    assert asked == ["18 degrees in Paris", "18 degrees in Rome"], (name, messages)
    assert "18" in text_of(messages[-1]), (name, messages[-1])
    whole = None
    for chunk in agent.stream(messages[:1]):
        whole = chunk if whole is None else whole + chunk
    assert [call["args"] for call in whole.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}], name

    for method in ["json_schema", "function_calling", "json_mode"]:
        structured = model.with_structured_output(Trip, method=method, include_raw=True)
        ask = "Paris, 4 nights. JSON with the keys city and nights."
        answer = structured.invoke(ask)
        assert answer["parsed"] == Trip(city="Paris", nights=4), (name, method, answer)

    return text


async def later(model):
    one = await model.ainvoke(SAY)
    parts = [text_of(part) async for part in model.astream(SAY)]
    both = await model.abatch([SAY, SAY])
    return {text_of(one), "".join(parts), *map(text_of, both)}


MODELS = {
    "chat": ChatOpenAI(model="gpt-4o-mini", stream_usage=True, **KEY),
    "responses": ChatOpenAI(model="gpt-5-mini", use_responses_api=True, **KEY),
    "azure": AzureChatOpenAI(azure_deployment="gpt-4o-mini", stream_usage=True, **AZURE),
}
TEXTS = {name: try_model(name, model) for name, model in MODELS.items()}


async def all_later():
    for name, model in MODELS.items():
        assert await later(model) == {TEXTS[name]}, name


asyncio.run(all_later())

limited = ChatOpenAI(model="gpt-4o-mini", max_completion_tokens=4, stop=["zzz"], n=2, **KEY)
results = limited.generate([[HumanMessage(SAY)]]).generations[0]
assert len({one.text for one in results}) == 2, results
assert {one.generation_info["finish_reason"] for one in results} == {"length"}
likely = ChatOpenAI(model="gpt-4o-mini", logprobs=True, top_logprobs=2, **KEY).invoke(SAY)
content = likely.response_metadata["logprobs"]["content"]
assert "".join(one["token"] for one in content) == likely.content
assert len(OpenAI(model="gpt-3.5-turbo-instruct", max_tokens=9, **KEY).invoke("The sea")) > 4

# Unless told otherwise it counts tokens by a file that it gets from the internet.
VECTORS = {"dimensions": 64, "check_embedding_ctx_length": False}
for embeddings in [
    OpenAIEmbeddings(model="text-embedding-3-small", **VECTORS, **KEY),
    AzureOpenAIEmbeddings(azure_deployment="text-embedding-3-small", **VECTORS, **AZURE),
]:
    one, near, far = embeddings.embed_documents(["the blue sea", "a sea of blue", "tax law"])
    product = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert len(one) == 64 and abs(product(one, one) - 1) < 1e-3
    assert product(one, near) > product(one, far)
    assert product(embeddings.embed_query("the blue sea"), one) > 0.999

refused(openai.NotFoundError, lambda: ChatOpenAI(model="nobody", **KEY).invoke(SAY))
stranger = {**KEY, "api_key": "sk-belljar-" + "0" * 64}
refused(openai.AuthenticationError, lambda: ChatOpenAI(model="gpt-4o", **stranger).invoke(SAY))
refused(openai.BadRequestError, lambda: ChatOpenAI(model="gpt-4o", temperature=7, **KEY).invoke(SAY))
print("langchain-openai ok")
