"""The classes that the contract asks for, made of the marked functions."""

import sys

import wit_world.exports as exports
from componentize_py_types import Err
from wit_world.imports.types import Error_Failed, Error_InvalidInput, Error_Unsupported

from . import errors
from ._marks import KINDS, MODEL

# The kinds that the component's world exports; each is a class of the same name there.
WANTED = {kind for kind in KINDS if hasattr(exports, kind.capitalize())}


def calling(function, *arguments):
    """What a function gives; what it raises, as an error of the contract."""
    try:
        return function(*arguments)
    except errors.InvalidInput as error:
        raise Err(Error_InvalidInput(error.message)) from None
    except errors.Unsupported as error:
        raise Err(Error_Unsupported(error.message)) from None
    except errors.Failed as error:
        raise Err(Error_Failed(error.message)) from None
    except Exception as error:
        # An exception would end the run as a trap, with its text in the log alone. This way it is
        # an error of the model, which says where.
        raise Err(Error_Failed(errors.told(error))) from None


class Lifecycle:
    def load(self):
        if MODEL.load:
            calling(MODEL.load[0])


if "tensors" in WANTED:
    from belljar_guest.tensors import Tensor, TensorRequest
    from wit_world.exports import tensors as contract
    from wit_world.imports import types

    _NAMES = {
        name: getattr(contract.Datatype, "BOOLEAN" if name == "BOOL" else name)
        for name in (
            "BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 BF16 FP32 FP64 BYTES"
        ).split()
    }
    _DATATYPES = {datatype: name for name, datatype in _NAMES.items()}

    class Tensors:
        def metadata(self):
            def infos(rows):
                return [
                    contract.TensorInfo(name, _NAMES[datatype], shape)
                    for name, datatype, shape in rows
                ]

            made = MODEL.tensors[0]
            return contract.MetadataInfo(infos(made.inputs), infos(made.outputs))

        def infer(self, request):
            inputs = {
                tensor.name: Tensor(
                    _DATATYPES[tensor.datatype], tensor.shape, tensor.data, tensor.name
                )
                for tensor in request.inputs
            }
            parameters = {one.name: one.value.value for one in request.parameters}
            asked = TensorRequest(inputs, request.outputs, parameters)
            outputs = calling(MODEL.tensors[0].infer, asked)
            return contract.Response(
                [
                    contract.Tensor(one.name, _NAMES[one.datatype], one.shape, bytes(one.data))
                    for one in outputs
                ],
                [],
            )


if "text" in WANTED:
    # The package has a function of the module's name.
    pieces = sys.modules["belljar_guest.text"]
    from wit_world.exports import text as texts

    def _message(message):
        parts = [part.value for part in message.content if isinstance(part, texts.Part_Text)]
        return pieces.Message(
            message.role.name.lower(), "".join(parts), message.name, message.tool_call_id, message
        )

    def _request(request):
        prompt = request.prompt
        messages, tokens = [], None
        if isinstance(prompt, texts.Prompt_Messages):
            messages = [_message(message) for message in prompt.value]
        elif isinstance(prompt, texts.Prompt_Text):
            messages = [pieces.Message("user", prompt.value.text)]
        else:
            tokens = prompt.value
        sampling = request.sampling
        return pieces.TextRequest(
            messages,
            request.max_tokens,
            request.stop,
            sampling.seed,
            sampling.temperature,
            sampling.top_p,
            request.choice,
            {one.name: one.value.value for one in request.parameters},
            tokens,
            request,
        )

    def _token(token):
        id, spelled = token if isinstance(token, tuple) else (token, b"")
        return texts.Token(id, spelled, None, [])

    def _content(piece):
        if isinstance(piece, pieces.Text):
            tokens = [_token(token) for token in piece.tokens]
            return texts.Content_Text(texts.TextFragment(piece.text, tokens))
        if isinstance(piece, pieces.Reasoning):
            return texts.Content_Reasoning(piece.text)
        if isinstance(piece, pieces.Refusal):
            return texts.Content_Refusal(piece.text)
        if isinstance(piece, pieces.ToolCall):
            return texts.Content_ToolCall(
                texts.ToolCallFragment(piece.index, piece.id, piece.name, piece.arguments)
            )
        if isinstance(piece, pieces.ToolArguments):
            return texts.Content_ToolCall(
                texts.ToolCallFragment(piece.index, None, None, piece.arguments)
            )
        return texts.Content_Finish(getattr(texts.FinishReason, piece.reason.upper()))

    class Generation:
        def __init__(self, answer):
            self._answer = answer

        def next(self, max_chunks):
            return [
                texts.Chunk(_content(piece), piece.after_us)
                for piece in calling(self._answer.next, max_chunks)
            ]

        def usage(self):
            answer = self._answer
            return texts.Usage(
                answer.prompt_tokens, answer.completion_tokens, answer.reasoning_tokens, 0
            )

    class Text:
        def start(self, request):
            return Generation(calling(MODEL.text[0].start, _request(request)))


if "embeddings" in WANTED:
    from wit_world.exports import embeddings as vectors

    class Embeddings:
        def embed(self, inputs, dimensions):
            if any(isinstance(one, vectors.Input_Tokens) for one in inputs):
                raise Err(Error_Unsupported("this model takes texts, not token ids"))
            texts = [one.value for one in inputs]
            made, tokens = calling(MODEL.embeddings[0].embed, texts, dimensions)
            return vectors.Response([list(vector) for vector in made], tokens)


# What componentize-py looks for in the module that it is told to build.
__all__ = ["Lifecycle"]
__all__ += [kind.capitalize() for kind in KINDS if kind in WANTED]
__all__ += ["Generation"] if "text" in WANTED else []
