"""What programs do with tritonclient over gRPC, in plain and, with a file of who to trust, over TLS."""

import asyncio
import queue
import sys

import grpc
import numpy
import tritonclient.grpc as triton
import tritonclient.grpc.aio as aio
from tritonclient.utils import InferenceServerException

address, key_file, *trusted = sys.argv[1:]
secure = {"ssl": True, "root_certificates": trusted[0]} if trusted else {}
client = triton.InferenceServerClient(address, **secure)
with open(key_file) as file:
    admin = {"authorization": f"Bearer {file.read().strip()}"}

assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("echo")
assert not client.is_model_ready("nobody")
assert client.get_server_metadata().name == "belljar"
assert client.get_model_metadata("echo").name == "echo"
assert client.get_model_config("fake").config.model_transaction_policy.decoupled
assert any(entry.name == "echo" for entry in client.get_model_repository_index().models)


def tensor(array, datatype):
    tensor = triton.InferInput("x", array.shape, datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def refused(code, text, call):
    try:
        call()
    except InferenceServerException as error:
        assert code in error.status() and text in str(error), str(error)
        return
    raise AssertionError(f"nobody said {text}")


arrays = [
    (numpy.array([[1.5, numpy.inf]], "f4"), "FP32"),
    (numpy.array([0.5, -2], "f2"), "FP16"),
    (numpy.arange(6, dtype="i8").reshape(2, 3), "INT64"),
    (numpy.array([True, False]), "BOOL"),
    (numpy.array(["ä".encode(), b"", b"\xff"], object), "BYTES"),
    (numpy.zeros((0, 3), "u1"), "UINT8"),
]
for array, datatype in arrays:
    for compression in [None, "gzip", "deflate"]:
        answer = client.infer(
            "echo", [tensor(array, datatype)], request_id="mine", compression_algorithm=compression
        )
        assert numpy.array_equal(answer.as_numpy("x"), array), (array, answer)
        assert answer.get_response().id == "mine"
x = numpy.arange(3, dtype="i4")
wanted = [triton.InferRequestedOutput("x")]
assert client.infer("echo", [tensor(x, "INT32")], outputs=wanted).as_numpy("x")[2] == 2
assert client.get_inference_statistics("echo").model_stats[0].inference_count > 0

# A call that is not waited for.
done = queue.Queue()
client.async_infer("echo", [tensor(x, "INT32")], lambda result, error: done.put(error or result))
assert numpy.array_equal(done.get(timeout=30).as_numpy("x"), x)

# Each failure can be read.
refused("NOT_FOUND", "does not exist", lambda: client.get_model_metadata("nobody"))
refused("UNAUTHENTICATED", "API key", lambda: client.load_model("echo"))
refused("NOT_FOUND", "does not exist", lambda: client.load_model("nobody", headers=admin))
refused("UNIMPLEMENTED", "no such", lambda: client.get_system_shared_memory_status())
nothing = [triton.InferRequestedOutput("y")]
refused(
    "INVALID_ARGUMENT", "no such output", lambda: client.infer("echo", [tensor(x, "INT32")], outputs=nothing)
)
short = tensor(x, "INT32")
short.set_shape([4])
refused("INVALID_ARGUMENT", "bytes", lambda: client.infer("echo", [short]))
refused(
    "RESOURCE_EXHAUSTED",
    "max_request_size",
    lambda: client.infer("echo", [tensor(numpy.zeros(3 << 20, "f4"), "FP32")]),
)

# Many requests over one call, with one among them that fails.
answers = queue.Queue()
client.start_stream(lambda result, error: answers.put(error or result))
for number in range(100):
    model = "nobody" if number == 50 else "echo"
    array = numpy.array([number], "i4")
    client.async_stream_infer(model, [tensor(array, "INT32")], request_id=str(number))
for number in range(100):
    answer = answers.get(timeout=30)
    if number == 50:
        assert "does not exist" in str(answer), answer
    else:
        assert answer.get_response().id == str(number)
        assert answer.as_numpy("x")[0] == number


def text(text):
    tensor = triton.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(numpy.array([text], object))
    return [tensor]


options = {"max_tokens": 20, "seed": 7}
client.async_stream_infer("fake", text("Tell me of the sea."), parameters=options)
whole = answers.get(timeout=30).as_numpy("text_output")[0].decode()
client.async_stream_infer(
    "fake",
    text("Tell me of the sea."),
    parameters=options | {"stream": True},
    enable_empty_final_response=True,
)
pieces = []
while True:
    answer = answers.get(timeout=30)
    if answer.get_response().parameters["triton_final_response"].bool_param:
        break
    pieces.append(answer.as_numpy("text_output")[0].decode())
assert len(pieces) > 3 and "".join(pieces) == whole, (pieces, whole)
client.stop_stream()


async def over_asyncio():
    own = aio.InferenceServerClient(address, **secure)

    async def requests():
        for number in range(20):
            array = numpy.array([number], "i4")
            yield {"model_name": "echo", "inputs": [tensor(array, "INT32")]}

    number = 0
    async for result, error in own.stream_infer(requests()):
        assert error is None and result.as_numpy("x")[0] == number, (result, error)
        number += 1
    assert number == 20
    await own.close()


asyncio.run(over_asyncio())

# As a probe asks.
if trusted:
    with open(trusted[0], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    channel = grpc.secure_channel(address, credentials)
else:
    channel = grpc.insecure_channel(address)
check = channel.unary_unary("/grpc.health.v1.Health/Check")
assert check(b"") == b"\x08\x01"
watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
assert next(watch) == b"\x08\x01"
watch.cancel()
print("tritonclient over gRPC", "with TLS" if trusted else "", "ok")
