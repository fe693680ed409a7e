// What OpenAI's SDK for Node does about each fault; see tests/clients/faults.py, which asks.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const url = process.argv[2];
const { said, jobs } = JSON.parse(readFileSync(0, "utf8"));
const weather = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

function held(text) {
  if (text === said) return "whole";
  if (!text) return "nothing";
  return said.startsWith(text) ? "the beginning" : "another text";
}

function called(text) {
  try {
    return JSON.parse(text).city ? "whole" : "other arguments";
  } catch {
    return "arguments that are no JSON";
  }
}

async function ask({ fault, stream, world, tools, timeout }) {
  const client = new OpenAI({
    baseURL: `${url}/v1`,
    apiKey: "any",
    timeout,
    defaultHeaders: { "x-belljar-run": world, "x-belljar-fault": fault },
  });
  const answer = await client.chat.completions.create({
    model: "gpt-4o-mini",
    messages: [{ role: "user", content: "Tell me about the sea." }],
    stream,
    temperature: 0,
    max_tokens: tools ? 200 : 20,
    ...(tools && {
      tools: [{ type: "function", function: { name: "get_weather", parameters: weather } }],
      tool_choice: "required",
    }),
  });
  if (!stream) {
    if (typeof answer === "string") return "a text in place of an object";
    if (!answer.choices.length) return "no choices";
    const { message } = answer.choices[0];
    return tools ? called(message.tool_calls[0].function.arguments) : held(message.content);
  }
  let text = "";
  for await (const chunk of answer) {
    const delta = chunk.choices[0]?.delta;
    if (tools) for (const call of delta?.tool_calls ?? []) text += call.function?.arguments ?? "";
    else text += delta?.content ?? "";
  }
  return tools ? called(text) : held(text);
}

async function meet(job) {
  const begin = Date.now();
  let outcome;
  try {
    outcome = await ask(job);
  } catch (error) {
    // The SDK's own errors all come from one class.
    const name = error.constructor.name;
    outcome = error instanceof OpenAI.OpenAIError ? `\`${name}\`` : `\`${name}\` of Node`;
  }
  return { outcome, took: (Date.now() - begin) / 1000 };
}

console.log(JSON.stringify(await Promise.all(jobs.map(meet))));
