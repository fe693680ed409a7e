// The OpenAI SDK against a local Belljar: `npm install openai`, then `node openai_client.mjs`.
import OpenAI from "openai";

const server = process.argv[2] ?? "http://localhost:8000";
const client = new OpenAI({ baseURL: `${server}/v1`, apiKey: "not-needed-on-loopback" });

const messages = [{ role: "user", content: "What is a bell jar?" }];
const answer = await client.chat.completions.create({ model: "fake", messages, max_tokens: 24, seed: 1 });
console.log(answer.choices[0].message.content, answer.usage);

const stream = await client.chat.completions.create({
  model: "fake", messages, max_tokens: 24, seed: 1, stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
console.log();
