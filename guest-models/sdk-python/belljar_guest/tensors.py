"""Tensors, and requests that hold them."""

import math
import struct
from array import array

from .errors import Failed, InvalidInput

# The datatypes of the Open Inference Protocol: how an array holds their elements, and the bytes
# of one.
_FORMATS = {
    "BOOL": ("?", 1),
    "UINT8": ("B", 1),
    "UINT16": ("H", 2),
    "UINT32": ("I", 4),
    "UINT64": ("Q", 8),
    "INT8": ("b", 1),
    "INT16": ("h", 2),
    "INT32": ("i", 4),
    "INT64": ("q", 8),
    "FP16": ("e", 2),
    "BF16": (None, 2),
    "FP32": ("f", 4),
    "FP64": ("d", 8),
    "BYTES": (None, None),
}

DATATYPES = tuple(_FORMATS)


class Tensor:
    """A tensor: `name`, `datatype`, `shape`, and `data`, its little-endian elements row by row."""

    __slots__ = ("name", "datatype", "shape", "data")

    def __init__(self, datatype, shape, data, name=""):
        if datatype not in _FORMATS:
            raise Failed(f"`{datatype}` is no datatype: there are {', '.join(DATATYPES)}")
        self.name = name
        self.datatype = datatype
        self.shape = list(shape)
        self.data = data

    @classmethod
    def of(cls, datatype, shape, values, name=""):
        """A tensor of numbers, booleans, or (BYTES) byte strings and texts, row by row."""
        return cls(datatype, shape, _encode(datatype, values), name)

    def like(self, values):
        """A tensor of the same datatype and shape with other values."""
        return type(self).of(self.datatype, self.shape, values, self.name)

    @property
    def values(self):
        """The elements in a row: a memoryview of the data where Python has one for the datatype,
        and a list for FP16, BF16 and BYTES."""
        if self.datatype == "BYTES":
            return _byte_strings(self.name, self.data)
        if self.datatype == "BF16":
            halves = memoryview(self.data).cast("H")
            return [struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in halves]
        if self.datatype == "FP16":
            return list(struct.unpack(f"<{len(self.data) // 2}e", self.data))
        return memoryview(self.data).cast(_FORMATS[self.datatype][0])

    @property
    def rows(self):
        """The first dimension; 1 for a scalar."""
        return self.shape[0] if self.shape else 1

    def row(self, index):
        """The elements of one row: of one index of the first dimension."""
        values = self.values
        width = math.prod(self.shape[1:])
        return values[index * width : (index + 1) * width]

    def __repr__(self):
        return f"Tensor({self.name!r}, {self.datatype}, {self.shape})"


class TensorRequest:
    """What a caller asks: `inputs` by name, the names of the `outputs` that are wanted (none of
    them: all), and free-form `parameters` by name."""

    __slots__ = ("inputs", "outputs", "parameters")

    def __init__(self, inputs, outputs=(), parameters=None):
        self.inputs = inputs
        self.outputs = list(outputs)
        self.parameters = dict(parameters or {})

    def __getitem__(self, name):
        try:
            return self.inputs[name]
        except KeyError:
            there = ", ".join(f"`{other}`" for other in self.inputs) or "none"
            raise InvalidInput(f"there is no input `{name}`; the request has: {there}") from None

    def wants(self, output):
        """Whether the caller wants that output."""
        return not self.outputs or output in self.outputs


class TensorModel:
    """A function over tensors, and what it takes and gives."""

    def __init__(self, function, inputs, outputs):
        self._function = function
        self.inputs = _infos("inputs", inputs)
        self.outputs = _infos("outputs", outputs)

    def infer(self, request):
        """The tensors that the function gives, each with its name."""
        given = self._function(request)
        if isinstance(given, Tensor):
            given = [given]
        if isinstance(given, dict):
            for name, tensor in given.items():
                if not isinstance(tensor, Tensor):
                    raise _not_tensors(tensor)
                tensor.name = name
            given = list(given.values())
        if not isinstance(given, (list, tuple)):
            raise _not_tensors(given)
        for tensor in given:
            if not isinstance(tensor, Tensor):
                raise _not_tensors(tensor)
        given = list(given)
        # A name can be left out where there is only one.
        if len(given) == 1 and not given[0].name and len(self.outputs) == 1:
            given[0].name = self.outputs[0][0]
        return [tensor for tensor in given if request.wants(tensor.name)]


def _not_tensors(given):
    return Failed(
        f"the function marked with @tensors gave {type(given).__name__}: it gives a Tensor, a list "
        "of them, or a dict of them by name; Tensor.of(datatype, shape, values) makes one"
    )


def _infos(which, infos):
    """Names, datatypes and shapes; a mistake is found when the model is built."""
    checked = []
    for name, info in infos.items():
        try:
            datatype, shape = info
            shape = [int(dimension) for dimension in shape]
        except (TypeError, ValueError):
            raise TypeError(
                f'{which}[{name!r}] is a datatype and a shape, such as ("FP32", [-1, 3])'
            ) from None
        if datatype not in _FORMATS:
            raise TypeError(
                f"{which}[{name!r}]: {datatype!r} is no datatype: there are {', '.join(DATATYPES)}"
            )
        checked.append((name, datatype, shape))
    return checked


def _encode(datatype, values):
    if datatype == "BYTES":
        data = bytearray()
        for value in values:
            value = value.encode() if isinstance(value, str) else bytes(value)
            data += struct.pack("<I", len(value)) + value
        return bytes(data)
    if datatype == "BOOL":
        return bytes(1 if value else 0 for value in values)
    if datatype == "BF16":
        return b"".join(struct.pack("<H", _bf16(value)) for value in values)
    if datatype not in _FORMATS:
        raise Failed(f"`{datatype}` is no datatype: there are {', '.join(DATATYPES)}")
    code = _FORMATS[datatype][0]
    try:
        if datatype == "FP16":
            values = list(values)
            return struct.pack(f"<{len(values)}e", *values)
        if isinstance(values, array) and values.typecode == code:
            return values.tobytes()
        return array(code, values).tobytes()
    except (OverflowError, TypeError, struct.error) as error:
        raise Failed(f"values do not fit {datatype}: {error}") from None


def _bf16(value):
    """The upper half of the nearest binary32, rounded to even."""
    if value != value:
        return 0x7FC0
    try:
        [bits] = struct.unpack("<I", struct.pack("<f", value))
    except OverflowError:
        return 0x7F80 if value > 0 else 0xFF80
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def _byte_strings(name, data):
    found = []
    at = 0
    while at < len(data):
        end = at + 4
        if end <= len(data):
            end += struct.unpack_from("<I", data, at)[0]
        if end > len(data) or end < at + 4:
            raise InvalidInput(f"tensor `{name}` ends inside an element")
        found.append(bytes(data[at + 4 : end]))
        at = end
    return found
