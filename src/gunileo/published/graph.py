"""An ONNX graph as it is built: each call adds a node and gives the name of what it makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunileo.published.onnx_file import Attribute, Message, Shape, node, tensor, value_info, write_model

Value = str | NDArray[Any] | np.generic  # a value's name, or a constant


class Graph:
    """A graph of ONNX operators, opset 17.

    ``g("MatMul", x, w)`` adds a node. Inputs are the names of values, or arrays, which become constants.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[Message] = []
        self._constants: list[Message] = []
        self._inputs: list[Message] = []
        self._outputs: list[Message] = []
        self._count = 0

    def __call__(self, op: str, *inputs: Value, **attributes: Attribute) -> str:
        return self.many(op, 1, *inputs, **attributes)[0]

    def many(self, op: str, outputs: int, *inputs: Value, **attributes: Attribute) -> list[str]:
        """A node with several outputs: their names."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        made = [self._new() for _ in range(outputs)]
        self._nodes.append(node(op, names, made, attributes))
        return made

    def constant(self, array: NDArray[Any] | np.generic) -> str:
        """The name of a constant."""
        name = self._new()
        self._constants.append(tensor(name, np.asarray(array)))
        return name

    def input(self, name: str, kind: str, shape: Shape) -> str:
        """Declare an input: "float32" or "int64"."""
        self._inputs.append(value_info(name, kind, shape))
        return name

    def output(self, name: str, value: str, shape: Shape) -> None:
        """Give a value, float32, a name of its own as an output."""
        self._nodes.append(node("Identity", [value], [name], {}))
        self._outputs.append(value_info(name, "float32", shape))

    def reshape(self, value: str, *shape: int) -> str:
        """The same numbers in another shape: 0 keeps a dimension, -1 is what is left."""
        return self("Reshape", value, np.array(shape, np.int64))

    def slice(self, value: str, axis: int, start: int | str, end: int | str) -> str:
        """The part of an axis from ``start`` to ``end``: numbers, or names of int64 [1]."""
        bounds = [np.array([one], np.int64) if isinstance(one, int) else one for one in (start, end)]
        return self("Slice", value, *bounds, np.array([axis], np.int64))

    def size(self, value: str, axis: int) -> str:
        """The length of an axis, int64 [1]."""
        return self("Shape", value, start=axis, end=axis + 1)

    def write(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the graph as an ONNX file."""
        graph = Message()
        for each in self._nodes:
            graph.message(1, each)
        graph.text(2, self._name)
        for field, messages in ((5, self._constants), (11, self._inputs), (12, self._outputs)):
            for each in messages:
                graph.message(field, each)
        write_model(path, graph, metadata)

    def _new(self) -> str:
        self._count += 1
        return f"v{self._count}"
