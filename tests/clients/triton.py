"""What programs do with tritonclient."""

import sys

import numpy
import tritonclient
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1].removeprefix("http://"))
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("echo")
assert not client.is_model_ready("nobody")
assert client.get_model_metadata("echo")["name"] == "echo"
assert any(entry["name"] == "echo" for entry in client.get_model_repository_index())


def infer(array, datatype, binary_in, binary_out, **more):
    tensor = triton.InferInput("x", array.shape, datatype)
    tensor.set_data_from_numpy(array, binary_data=binary_in)
    wanted = None
    if binary_out is not None:
        wanted = [triton.InferRequestedOutput("x", binary_data=binary_out)]
    return client.infer("echo", [tensor], outputs=wanted, **more)


def refused(text, call):
    try:
        call()
    except InferenceServerException as error:
        assert text in str(error), str(error)
        return
    raise AssertionError(f"nobody said {text}")


arrays = [
    (numpy.array([[1.5, -2.0]], "f4"), "FP32"),
    (numpy.arange(6, dtype="i8").reshape(2, 3), "INT64"),
    (numpy.array([True, False]), "BOOL"),
    (numpy.array(["ä", "b"], object), "BYTES"),
    (numpy.zeros((0, 3), "u1"), "UINT8"),
]
for array, datatype in arrays:
    for binary_in in [False, True]:
        for binary_out in [None, False, True]:
            answer = infer(array, datatype, binary_in, binary_out).as_numpy("x")
            expect = array
            if datatype == "BYTES":
                answer = [item if isinstance(item, str) else item.decode() for item in answer]
                expect = list(array)
            assert numpy.array_equal(answer, expect), (array, answer)

infinite = numpy.array([numpy.inf, -numpy.inf, numpy.nan], "f4")
answer = infer(infinite, "FP32", True, True).as_numpy("x")
assert numpy.array_equal(answer, infinite, equal_nan=True)
refused("`x`", lambda: infer(infinite, "FP32", True, False))

# Each failure can be read.
refused("does not exist", lambda: client.get_model_metadata("nobody"))
refused("API key", lambda: client.load_model("echo"))
wrong = triton.InferInput("x", [2], "FP32")
wrong.set_data_from_numpy(numpy.zeros(2, "f4"))
wrong.set_shape([3])
refused("bytes", lambda: client.infer("echo", [wrong]))
print("tritonclient", tritonclient.__version__ if hasattr(tritonclient, "__version__") else "", "ok")
