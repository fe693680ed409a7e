"""The OpenAI SDK against a local Belljar: `pip install openai`, then `python openai_client.py`."""

import sys

from openai import OpenAI

server = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000"
client = OpenAI(base_url=f"{server}/v1", api_key="not-needed-on-loopback")

print([model.id for model in client.models.list()])

question = [{"role": "user", "content": "What is a bell jar?"}]
answer = client.chat.completions.create(model="fake", messages=question, max_tokens=24, seed=1)
print(answer.choices[0].message.content, answer.usage)

for chunk in client.chat.completions.create(model="fake", messages=question, max_tokens=24, seed=1, stream=True):
    print(chunk.choices[0].delta.content or "", end="")
print()

vectors = client.embeddings.create(model="fake", input=["glass", "jar"], dimensions=8)
print([len(item.embedding) for item in vectors.data])
