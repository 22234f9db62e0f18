"""How far face models converted by face_models.py are from LiteRT's, on random pictures.

LiteRT lacks MediaPipe's own operators: the graph before and after them runs in it, and they are NumPy here, written
once more, from mediapipe/util/tflite/operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import Builder, flexbuffers
from numpy.typing import NDArray

Array = NDArray[np.float32]

_PICTURES = 5


def difference(source: bytes, model: bytes, factor: float, summand: float) -> float:
    """The greatest difference of any output, on random pictures."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    graph = schema.ModelT.InitFromPackedBuf(source).subgraphs[0]
    names = {graph.tensors[number].name.decode(): int(number) for number in graph.outputs}
    random, greatest = np.random.default_rng(0), 0.0
    for _ in range(_PICTURES):
        picture = random.integers(0, 256, shape, np.uint8)
        pixels = {int(graph.inputs[0]): picture * np.float32(factor) + np.float32(summand)}
        if "output_lips" in names:
            expected = _refined(source, names, pixels)
        else:
            expected = _run(source, pixels, [int(number) for number in graph.outputs])
        for one, other in zip(expected, session.run(None, {"picture": picture}), strict=True):
            greatest = max(greatest, float(np.abs(one.ravel() - other.ravel()).max()))
    return greatest


def _run(source: bytes, inputs: dict[int, Array], outputs: list[int]) -> list[Array]:
    """Tensors of a TFLite graph from some others, by LiteRT."""
    model = schema.ModelT.InitFromPackedBuf(source)
    graph = model.subgraphs[0]
    needed, operators = set(outputs), list[Any]()
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs.tolist()) and not inputs.keys() & set(operator.outputs.tolist()):
            needed.update(operator.inputs.tolist())
            operators.insert(0, operator)
    graph.operators = operators
    graph.inputs, graph.outputs = np.array(list(inputs), np.int32), np.array(outputs, np.int32)
    model.signatureDefs = None
    builder = Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=1)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs.values(), strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def _refined(source: bytes, names: dict[str, int], pixels: dict[int, Array]) -> list[Array]:
    """The mesh with its lips refined, and the flag."""
    model = schema.ModelT.InitFromPackedBuf(source)
    graph = model.subgraphs[0]
    made = {int(operator.outputs[0]): operator for operator in graph.operators}
    # The lips' points are those of their part, moved by a transform that was scaled.
    points, scaled = made[int(made[names["output_lips"]].inputs[0])].inputs.tolist()
    transform, scale = made[scaled].inputs.tolist()
    options = flexbuffers.Loads(bytes(made[transform].customOptions))
    sample = next(one for one in graph.operators if transform in one.inputs.tolist() and int(one.outputs[0]) != scaled)
    wanted = [int(sample.inputs[0]), int(made[transform].inputs[0])]
    wanted += [names["output_mesh_identity"], names["conv_faceflag"]]
    features, places, mesh, flag = _run(source, pixels, wanted)
    matrix = _matrix(places[0, :, :2], options)
    part = _part(features[0], matrix, options["output_height"], options["output_width"])
    (lips,) = _run(source, {int(sample.outputs[0]): part[None]}, [points])
    stored = model.buffers[graph.tensors[int(made[scale].inputs[0])].buffer].data
    to_crop = matrix * np.frombuffer(bytes(stored), np.float16).reshape(4, 4)[:2, [0, 1, 3]]
    mesh = mesh.reshape(468, 3)
    mesh[options["subset_idxs"], :2] = lips[0] @ to_crop[:, :2].T + to_crop[:, 2]
    return [mesh, flag]


def _matrix(places: Array, options: dict[str, Any]) -> NDArray[np.float64]:
    """landmarks_to_transform_matrix.cc, version 2: [2, 3], pixels of the part to those of the whole."""
    x, y = places[options["right_rotation_idx"]] - places[options["left_rotation_idx"]]
    angle = options["target_rotation_radians"] - np.arctan2(y, x)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = places[options["subset_idxs"]] @ turn.T
    centre = turn.T @ (turned.max(0) + turned.min(0)) / 2
    size = np.array([options["output_width"], options["output_height"]])
    scale = np.array([options["scale_x"], options["scale_y"]]) * (turned.max(0) - turned.min(0)) / size
    linear = turn.T @ np.diag(scale)
    return np.column_stack([linear, centre - linear @ (size / 2)])


def _part(features: Array, matrix: NDArray[np.float64], height: int, width: int) -> Array:
    """transform_tensor_bilinear.cc, version 2."""
    part = np.zeros((height, width, features.shape[2]), np.float32)
    for row in range(height):
        for column in range(width):
            x, y = matrix @ (column + 0.5, row + 0.5, 1) - 0.5
            left, top = int(np.floor(x)), int(np.floor(y))
            if 0 <= x <= features.shape[1] - 1 and 0 <= y <= features.shape[0] - 1:
                around = features[top : top + 2, left : left + 2]
                across, down = np.array([1 - x + left, x - left]), np.array([1 - y + top, y - top])
                weights = np.outer(down[: len(around)], across[: around.shape[1]])
                part[row, column] = (around * weights[..., None]).sum((0, 1))
    return part
