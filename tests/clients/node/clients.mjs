// What programs do with the SDKs for Node, against a server that needs no key.
import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { z } from "zod";

const url = process.argv[2];
const say = [{ role: "user", content: "Tell me about the sea." }];

async function openai() {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 });
  const chat = await client.chat.completions.create({ model: "gpt-4o", messages: say });
  assert.ok(chat.choices[0].message.content);
  let text = "";
  const stream = await client.chat.completions.create({ model: "gpt-4o", messages: say, stream: true });
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  assert.equal(text, chat.choices[0].message.content);
  const response = await client.responses.create({ model: "gpt-5-mini", input: "Tell me about the sea." });
  assert.ok(response.output_text);
  const events = [];
  const told = await client.responses.create({ model: "gpt-5-mini", input: "The sea?", stream: true });
  for await (const event of told) events.push(event.type);
  assert.equal(events[0], "response.created");
  assert.ok(["response.completed", "response.incomplete"].includes(events.at(-1)));
  const completion = await client.completions.create({ model: "fake", prompt: "The sea", max_tokens: 9 });
  assert.equal(completion.usage.completion_tokens, 9);
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("fake") && names.includes("gpt-4o"));
  await assert.rejects(
    client.chat.completions.create({ model: "nobody", messages: say }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
  );
}

async function anthropic() {
  const client = new Anthropic({ baseURL: url, apiKey: "any", maxRetries: 0 });
  const ask = { model: "claude-sonnet-4-5", max_tokens: 80, messages: say };
  const message = await client.messages.create(ask);
  const final = await client.messages.stream(ask).finalMessage();
  assert.deepEqual(final.content, message.content);
  await assert.rejects(
    client.messages.create({ ...ask, model: "nobody" }),
    (error) => error instanceof Anthropic.NotFoundError,
  );
}

/** The AI SDK over each of its providers. */
async function ai(model) {
  const { text, usage } = await generateText({ model, prompt: "Tell me about the sea." });
  assert.ok(text && usage.outputTokens > 0);
  let streamed = "";
  for await (const piece of streamText({ model, prompt: "Tell me about the sea." }).textStream) {
    streamed += piece;
  }
  assert.equal(streamed, text);
  const schema = z.object({ city: z.string(), nights: z.number().int().min(1) });
  const { object } = await generateObject({ model, schema, prompt: "Paris, 4 nights" });
  assert.ok(typeof object.city === "string" && Number.isInteger(object.nights));
  const asked = [];
  const weather = tool({
    description: "The weather of a place",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      asked.push(city);
      return { degrees: 18 };
    },
  });
  const answer = await generateText({
    model,
    tools: { weather },
    stopWhen: stepCountIs(3),
    prompt: "What is the weather in Paris?",
  });
  assert.ok(asked.length > 0 && answer.text, JSON.stringify(answer.steps));
}

await openai();
console.log("openai for Node ok");
await anthropic();
console.log("anthropic for Node ok");
const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
await ai(provider.chat("gpt-4o"));
await ai(provider.responses("gpt-5-mini"));
const { embeddings } = await embedMany({
  model: provider.embedding("text-embedding-3-small"),
  values: ["the sea", "a ship"],
});
assert.equal(embeddings.length, 2);
await ai(createAnthropic({ baseURL: `${url}/v1`, apiKey: "any" })("claude-sonnet-4-5"));
console.log("ai ok");
