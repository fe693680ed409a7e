"""A chat with the client that openapi-python-client makes of the description."""

import sys

from belljar_client import Client
from belljar_client.api.anthropic import post_v1_messages
from belljar_client.api.open_ai import post_v1_chat_completions, post_v1_embeddings
from belljar_client.api.open_inference_protocol import post_v2_models_name_infer
from belljar_client.models import (AnthropicInputMessage, ChatMessage, ChatRequest, Completion,
                                   EmbeddingsRequest, MessagesRequest, OpenInferenceInput,
                                   OpenInferenceRequest)

client = Client(base_url=sys.argv[1])
request = ChatRequest(model="fake", max_tokens=5, stop=["never said"],
                      messages=[ChatMessage(role="user", content="Say something.")])
answer = post_v1_chat_completions.sync_detailed(client=client, body=request)
assert answer.status_code == 200, answer.content
assert isinstance(answer.parsed, Completion), answer.parsed
assert answer.parsed.choices[0].message.content
assert answer.parsed.usage.completion_tokens <= 5

request.model = "nobody"
refused = post_v1_chat_completions.sync_detailed(client=client, body=request)
assert refused.status_code == 404 and refused.parsed.error.code == "model_not_found", refused

vectors = post_v1_embeddings.sync(client=client, body=EmbeddingsRequest(model="fake", input_="x"))
assert vectors.data[0].embedding
# Nothing of the description was dropped: the other protocols are there, too.
message = post_v1_messages.sync(client=client, body=MessagesRequest(
    model="fake", max_tokens=5, messages=[AnthropicInputMessage(role="user", content="Say something.")]))
assert message.content[0].type_ == "text" and message.content[0].text, message
tensor = OpenInferenceInput(name="x", datatype="FP32", shape=[2], data=[1.0, 2.0])
result = post_v2_models_name_infer.sync("echo", client=client,
                                        body=OpenInferenceRequest(inputs=[tensor]))
assert result.outputs[0].data == [1.0, 2.0], result
print("generated client ok")
