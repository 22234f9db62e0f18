"""ONNX files written a piece at a time: as many bytes in memory as a network has weights, and no package but numpy.

Field numbers: ``onnx.proto`` of ONNX 1.17; encoding: Protocol Buffers' "wire format".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17
_IR_VERSION = 8  # of opset 17
_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
}
_FLOAT, _INT, _STRING, _FLOATS, _INTS = 1, 2, 3, 6, 7  # of AttributeProto.AttributeType

Shape = Sequence[int | str]  # a name stands for a dimension that is free
Attribute = int | float | str | Sequence[int] | Sequence[float]


class Message:
    """A message of Protocol Buffers: pieces of bytes, which are joined when they are written."""

    def __init__(self) -> None:
        self._pieces: list[Any] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def number(self, field: int, value: int) -> Message:
        """Add an integer; returns the message, as all of these do."""
        return self._add(_varint(field << 3) + _varint(value & (1 << 64) - 1))

    def real(self, field: int, value: float) -> Message:
        """Add a float32."""
        return self._add(_varint(field << 3 | 5) + np.float32(value).tobytes())

    def text(self, field: int, value: str) -> Message:
        """Add a text."""
        return self.content(field, value.encode())

    def content(self, field: int, value: Any) -> Message:
        """Add bytes, or what has bytes as an array does; they aren't copied."""
        view = memoryview(value).cast("B") if len(value) else b""
        return self._add(_varint(field << 3 | 2) + _varint(len(view)))._add(view)

    def message(self, field: int, value: Message) -> Message:
        """Add another message, which is complete."""
        self._add(_varint(field << 3 | 2) + _varint(len(value)))
        self._pieces += value._pieces
        self._size += len(value)
        return self

    def write(self, file: IO[bytes]) -> None:
        """Write all pieces."""
        for piece in self._pieces:
            file.write(piece)

    def _add(self, piece: Any) -> Message:
        self._pieces.append(piece)
        self._size += len(piece)
        return self


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def type_of(array: NDArray[Any]) -> int:
    """ONNX's number for an array's type of numbers."""
    return _TYPES[array.dtype.name]


def tensor(name: str, array: NDArray[Any]) -> Message:
    """A TensorProto."""
    message = Message()
    for size in array.shape:
        message.number(1, size)
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return message.number(2, type_of(array)).text(8, name).content(9, flat)


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute]) -> Message:
    """A NodeProto."""
    message = Message()
    for name in inputs:
        message.text(1, name)
    for name in outputs:
        message.text(2, name)
    message.text(4, op)
    for name, value in attributes.items():
        message.message(5, _attribute(name, value))
    return message


def _attribute(name: str, value: Attribute) -> Message:
    message = Message().text(1, name)
    if isinstance(value, str):
        return message.text(4, value).number(20, _STRING)
    if isinstance(value, int):
        return message.number(3, value).number(20, _INT)
    if isinstance(value, float):
        return message.real(2, value).number(20, _FLOAT)
    if all(isinstance(item, int) for item in value):
        for item in value:
            message.number(8, int(item))
        return message.number(20, _INTS)
    for item in value:
        message.real(7, item)
    return message.number(20, _FLOATS)


def value_info(name: str, kind: str, shape: Shape) -> Message:
    """A ValueInfoProto: the name, type and shape of an input or output."""
    dimensions = Message()
    for size in shape:
        one = Message()
        dimensions.message(1, one.text(2, size) if isinstance(size, str) else one.number(1, size))
    kinds = Message().number(1, _TYPES[kind]).message(2, dimensions)
    return Message().text(1, name).message(2, Message().message(1, kinds))


def write_model(path: Path, graph: Message, metadata: Mapping[str, str]) -> None:
    """Write a ModelProto of a GraphProto."""
    model = Message().number(1, _IR_VERSION).text(2, "gunileo").message(7, graph)
    model.message(8, Message().text(1, "").number(2, OPSET))
    for key, value in metadata.items():
        model.message(14, Message().text(1, key).text(2, value))
    with path.open("wb") as file:
        model.write(file)
