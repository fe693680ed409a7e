"""What programs do with pydantic-ai, against a server that needs no key: over chat completions,
over responses, and over Anthropic's API."""

import asyncio
import sys

from pydantic import BaseModel, Field
from pydantic_ai import Agent, Embedder, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

URL = sys.argv[1]
SAY = "Tell me about the sea."


class Trip(BaseModel):
    """A journey."""

    city: str
    nights: int = Field(ge=1, le=30)


def provider(key="any"):
    return OpenAIProvider(base_url=URL + "/v1", api_key=key)


def models(name=None, key="any"):
    claude = AnthropicProvider(base_url=URL, api_key=key)
    return [
        OpenAIChatModel(name or "gpt-4o-mini", provider=provider(key)),
        OpenAIResponsesModel(name or "gpt-5-mini", provider=provider(key)),
        AnthropicModel(name or "claude-sonnet-4-5", provider=claude),
    ]


async def try_model(model):
    of = type(model).__name__
    answer = await Agent(model).run(SAY)
    assert "sea" in answer.output.lower(), (of, answer)
    assert answer.usage.output_tokens > 0, (of, answer.usage)
    async with Agent(model).run_stream(SAY) as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == answer.output and len(pieces) > 3, (of, pieces)
    told = await Agent(model).run("And the ships?", message_history=answer.all_messages())
    assert "ships" in told.output.lower(), (of, told.output)

    asked = []
    agent = Agent(model, instructions="Use the tool.")

    @agent.tool_plain
    def get_weather(city: str) -> dict[str, int]:
        """The weather of a place."""
        asked.append(city)
        return {"degrees": 18}

    answer = await agent.run("What is the weather in Paris and in Rome?")
    assert sorted(asked) == ["Paris", "Rome"] and "18" in answer.output, (of, asked, answer.output)
    for output in [Trip, ToolOutput(Trip), NativeOutput(Trip), PromptedOutput(Trip)]:
        answer = await Agent(model, output_type=output).run("Paris, 4 nights")
        assert answer.output == Trip(city="Paris", nights=4), (of, output, answer)
    async with Agent(model, output_type=Trip).run_stream("Rome, 2 nights") as stream:
        assert await stream.get_output() == Trip(city="Rome", nights=2), of


async def refused(status, model):
    try:
        await Agent(model).run(SAY)
    except ModelHTTPError as error:
        assert error.status_code == status, (model, error)
        return
    raise AssertionError(f"nobody refused with {status}")


async def main():
    for model in models():
        await try_model(model)
    for model in models("nobody"):
        await refused(404, model)
    for model in models(key="sk-belljar-" + "0" * 64):
        await refused(401, model)
    embedder = Embedder(OpenAIEmbeddingModel("text-embedding-3-small", provider=provider()))
    one, near, far = (await embedder.embed_documents(
        ["the blue sea", "a sea of blue", "tax law"])).embeddings
    product = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert product(one, near) > product(one, far)


asyncio.run(main())
assert "sea" in Agent(models()[0]).run_sync(SAY).output.lower()
print("pydantic-ai ok")
