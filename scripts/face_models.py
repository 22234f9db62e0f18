"""Convert MediaPipe's face models to ONNX: python scripts/face_models.py mediapipe-0.10.21-*.whl

Writes src/gunileo/vision/landmarks/*.onnx from the two TFLite models in the wheel, and prints how far their output on
random pictures is from LiteRT's, and their checksums for NOTICE. Weights stay the float16 that they are stored in, but
for those that take the pixels' factor. Of the refined mesh the branches of the eyes are left out; MediaPipe's own
operators are written as ordinary ones. Needs ``pip install tflite ai-edge-litert`` and the "train" extra; ``pip
download --no-deps mediapipe==0.10.21`` gets the wheel.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from face_check import difference
from flatbuffers import flexbuffers
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gunileo.util.files import write_whole

FOLDER = Path(__file__).parents[1] / "src" / "gunileo" / "vision" / "landmarks"
# In the wheel: a model, its sha256, and the factor and the summand that make its input of bytes.
SOURCES = (
    (
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        (1 / 127.5, -1.0),
    ),
    (
        "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite",
        "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
        (1 / 255, 0.0),
    ),
)
_TYPES: dict[int, type[np.generic]] = {0: np.float32, 1: np.float16, 2: np.int32}  # of TFLite's TensorType
_OPERATORS = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
# What takes a tensor with signs turned as well, as its weights' can be turned, or turns its result's.
_LINEAR = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "TransformTensorBilinear"}
_RELU = tflite.ActivationFunctionType.RELU


class Converter:
    """A TFLite graph over one picture, float32 [1, H, W, C], as an ONNX graph; the picture's pixels are uint8.

    Every tensor of four dimensions but the picture becomes [1, C, H, W].
    """

    def __init__(self, content: bytes) -> None:
        self._model = tflite.Model.GetRootAsModel(content, 0)
        self._graph = self._model.Subgraphs(0)
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []
        self._users: dict[int, list[Any]] = {}  # of a tensor: the operators that take it and are needed
        # Of tensors that are kept with some channels' signs turned: 1 or -1 a channel.
        self._signs: dict[int, NDArray[np.float16]] = {}
        self._part: list[int] = []  # points of the mesh that are refined
        self._factor = np.float32(1)  # of the pixels, beside what is done to them before the first convolution
        stored = ((number, self._stored(number)) for number in range(self._graph.TensorsLength()))
        self._constants = {number: value for number, value in stored if value is not None}

    def convert(self, factor: float, summand: float) -> onnx.ModelProto:
        """The ONNX model; its input "picture" times ``factor`` plus ``summand`` is TFLite's."""
        picture = self._graph.Inputs(0)
        outputs = {self._graph.Tensors(number).Name().decode(): number for number in self._graph.OutputsAsNumpy()}
        wanted = [number for name, number in outputs.items() if "eye" not in name and "iris" not in name]
        pixels = self._node("Cast", ["picture"], to=TensorProto.FLOAT)
        # One plane, in which the colours are beside each other as they come, so that nothing is moved.
        _, height, width, colours = self._shape(picture)
        pixels = self._node("Reshape", [pixels, self._numbers([1, 1, height, width * colours])])
        if summand:
            pixels = self._node("Mul", [pixels, self._tensor("factor", np.float32(factor))])
        else:
            self._factor = np.float32(factor)  # which the first convolution takes into its weights
        shift = self._tensor("summand", np.float32(summand))
        self._node("Add", [pixels, shift], f"t{picture}")  # left out by ONNX Runtime where it is of zeros
        for operator in self._needed(wanted):
            self._operator(operator)
        results = {f"t{number}": self._planes(number) for number in wanted}
        if "output_lips" in outputs:
            results = self._refined(outputs)
        graph = helper.make_graph(
            self._nodes,
            "face",
            [helper.make_tensor_value_info("picture", TensorProto.UINT8, self._shape(picture))],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in results.items()],
            self._tensors,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model

    def _needed(self, wanted: list[int]) -> list[Any]:
        """The operators that the ``wanted`` tensors come from, in order."""
        tensors, operators = set(wanted), list[Any]()
        for number in reversed(range(self._graph.OperatorsLength())):
            operator = self._graph.Operators(number)
            if operator.Outputs(0) in tensors:
                tensors.update(operator.InputsAsNumpy().tolist())
                operators.insert(0, operator)
                for source in operator.InputsAsNumpy().tolist():
                    self._users.setdefault(source, []).append(operator)
        return operators

    def _name(self, operator: Any) -> str:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        name = _OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]  # the latter where it is below 127
        return str(code.CustomCode().decode() if name == "CUSTOM" else name)

    def _operator(self, operator: Any) -> None:
        name = self._name(operator)
        inputs, output = operator.InputsAsNumpy().tolist(), operator.Outputs(0)
        first, result = f"t{inputs[0]}", f"t{output}"
        if name == "DEQUANTIZE":
            self._constants[output] = self._constants[inputs[0]]
        elif name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self._convolution(name, operator, inputs, output)
        elif name == "PRELU":
            self._prelu(inputs[0], self._constants[inputs[1]], output)
        elif name == "RELU":
            self._node("Relu", [first], result)
        elif name == "ADD":
            self._added(inputs, output)
        elif name == "MAX_POOL_2D":
            options = _options(operator, tflite.Pool2DOptions)
            size = options.FilterHeight(), options.FilterWidth()
            self._node("MaxPool", [first], result, kernel_shape=size, **self._placed(options, size, inputs[0], output))
        elif name == "PAD":
            self._padded(first, self._shape(inputs[0])[3], self._constants[inputs[1]].tolist(), result)
        elif name == "RESHAPE":
            shape = self._tensor(f"{result}_shape", np.array(self._shape(output), np.int64))
            if len(self._shape(inputs[0])) == 4:
                first = self._node("Transpose", [first], perm=[0, 2, 3, 1])
            self._node("Reshape", [first, shape], result)
        elif name == "CONCATENATION":
            axis = _options(operator, tflite.ConcatenationOptions).Axis()
            self._node("Concat", [f"t{number}" for number in inputs], result, axis=axis)
        elif name == "MUL":
            factor = self._constants[inputs[1]].astype(np.float32)
            if factor.shape == (1, 4, 4):  # of a transform, which is [3, 2] here
                factor = factor[0, :2][:, [0, 1, 3]].T
            self._node("Mul", [first, self._tensor(f"{result}_factor", factor)], result)
        elif name == "STRIDED_SLICE":
            assert self._shape(inputs[0]) == self._shape(output), "all is taken"
            self._node("Identity", [first], result)
        else:
            self._own(name, operator, inputs, output)

    def _convolution(self, name: str, operator: Any, inputs: list[int], output: int) -> None:
        deep = name == "CONV_2D"
        options = _options(operator, tflite.Conv2DOptions if deep else tflite.DepthwiseConv2DOptions)
        weight, bias = self._constants[inputs[1]], self._constants[inputs[2]]
        places = self._placed(options, weight.shape[1:3], inputs[0], output)
        weight = weight.transpose((0, 3, 1, 2) if deep else (3, 0, 1, 2))
        if inputs[0] == self._graph.Inputs(0):
            weight, places = self._interleaved(weight, places)
        elif inputs[0] in self._signs:
            before = self._signs[inputs[0]]
            weight = weight * (before[:, None, None] if deep else before[:, None, None, None])
        if (signs := self._signs_beside(output)) is not None:
            weight, bias = weight * signs[:, None, None, None], bias * signs
            self._signs[output] = signs
        tensors = [f"t{inputs[0]}", self._tensor(f"t{output}_weight", weight), self._tensor(f"t{output}_bias", bias)]
        rectified = options.FusedActivationFunction() == _RELU
        linear = f"t{output}_linear" if rectified else f"t{output}"
        self._node("Conv", tensors, linear, group=1 if deep else len(weight), **places)
        if rectified:
            self._node("Relu", [linear], f"t{output}")

    def _interleaved(self, weight: NDArray[Any], places: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
        """The first convolution, of a plane in which the colours are beside each other."""
        outputs, colours, height, width = weight.shape
        weight = weight.transpose(0, 2, 3, 1).reshape(outputs, 1, height, width * colours)
        (down, right), (top, left, bottom, after) = places["strides"], places["pads"]
        places = {"strides": (down, right * colours), "pads": (top, left * colours, bottom, after * colours)}
        return (weight if self._factor == 1 else weight * self._factor), places

    def _signs_beside(self, tensor: int) -> NDArray[Any] | None:
        """Those of the tensor that one is added to, if it is added to one that has them."""
        for operator in self._users.get(tensor, []):
            if self._name(operator) == "ADD":
                return next((self._signs[one] for one in operator.InputsAsNumpy().tolist() if one in self._signs), None)
        return None

    def _own(self, name: str, operator: Any, inputs: list[int], output: int) -> None:
        """MediaPipe's own operators, version 2: mediapipe/util/tflite/operations."""
        first, result = f"t{inputs[0]}", f"t{output}"
        if name == "Landmarks2TransformMatrix":
            content = bytes(operator.CustomOptions(at) for at in range(operator.CustomOptionsLength()))
            self._transform(first, flexbuffers.Loads(content), result)
        elif name == "TransformTensorBilinear":
            self._sampled(inputs, output)
        elif name == "TransformLandmarks":
            self._moved(first, f"t{inputs[1]}", result)
        else:
            raise SystemExit(f"operator {name} is not known here; write its ONNX")

    def _transform(self, mesh: str, options: dict[str, Any], result: str) -> None:
        """landmarks_to_transform_matrix.cc: [3, 2], which takes (x, y, 1) in a part to (x, y) in the whole.

        The part is the box around some points after a turn that levels the line between two of them.
        """
        assert options["target_rotation_radians"] == 0
        self._part = options["subset_idxs"]
        points = self._node("Gather", [mesh, self._numbers(self._part)], axis=1)
        points = self._node("Slice", [points, *(self._numbers([one]) for one in (0, 2, 2))])
        points = self._node("Reshape", [points, self._numbers([-1, 2])])
        ends = np.zeros((1, len(self._part)), np.float32)
        ends[0, self._part.index(options["left_rotation_idx"])] = -1
        ends[0, self._part.index(options["right_rotation_idx"])] = 1
        line = self._node("MatMul", [self._tensor(f"{result}_ends", ends), points])
        # The line as (x, y), and it a quarter turn further: the box's axes, a row each, made one long.
        axes = self._tensor(f"{result}_axes", np.array([[1, 0, 0, 1], [0, 1, -1, 0]], np.float32))
        axes = self._node("Reshape", [self._node("MatMul", [line, axes]), self._numbers([2, 2])])
        turn = self._node("LpNormalization", [axes], axis=1, p=2)
        turned = self._node("MatMul", [points, self._node("Transpose", [turn], perm=[1, 0])])
        reach = [self._node(f"Reduce{one}", [turned], axes=[0], keepdims=0) for one in ("Max", "Min")]
        # Of the greatest and least x and y: pixels of the whole in one of the part, and where the part's corner is.
        box = np.zeros((2, 2, 3, 2), np.float32)
        for axis, (name, side) in enumerate((("scale_x", "output_width"), ("scale_y", "output_height"))):
            box[:, axis, axis, axis] = np.array([1, -1]) * options[name] / options[side]
            box[:, axis, 2, axis] = 0.5 - np.array([1, -1]) * options[name] / 2
        sides = self._node("Concat", reach, axis=0)
        sides = self._node("MatMul", [sides, self._tensor(f"{result}_box", box.reshape(4, 6))])
        self._node("MatMul", [self._node("Reshape", [sides, self._numbers([3, 2])]), turn], result)

    def _sampled(self, inputs: list[int], output: int) -> None:
        """transform_tensor_bilinear.cc: a pixel's middle taken to the whole, and the whole's value there."""
        (_, high, wide, _), (_, height, width, _) = self._shape(inputs[0]), self._shape(output)
        y, x = np.divmod(np.arange(height * width), width)
        middles = np.stack([x + 0.5, y + 0.5, np.ones_like(x)], 1).astype(np.float32)
        # GridSample's own measure: -1 to 1 over the whole.
        measure = self._tensor(f"t{output}_measure", np.array([[2 / wide, 0], [0, 2 / high]], np.float32))
        corner = self._tensor(f"t{output}_corner", np.array([[0, 0], [0, 0], [-1, -1]], np.float32))
        places = self._node("Gemm", [f"t{inputs[1]}", measure, corner])
        places = self._node("MatMul", [self._tensor(f"t{output}_middles", middles), places])
        grid = self._node("Reshape", [places, self._numbers([1, height, width, 2])])
        self._node("GridSample", [f"t{inputs[0]}", grid], f"t{output}", align_corners=0)
        if inputs[0] in self._signs:
            self._signs[output] = self._signs[inputs[0]]

    def _moved(self, points: str, transform: str, result: str) -> None:
        """transform_landmarks.cc: points of a part, (x, y), in the whole."""
        turn, shift = f"{result}_turn", f"{result}_shift"
        self._nodes.append(helper.make_node("Split", [transform, self._numbers([2, 1])], [turn, shift], axis=0))
        points = self._node("Reshape", [points, self._numbers([-1, 2])])
        self._node("Gemm", [points, turn, shift], result)

    def _refined(self, outputs: dict[str, int]) -> dict[str, list[int]]:
        """The mesh [1, 468, 3] with the lips' points moved, their depth kept, and the flag.

        As tensors_to_face_landmarks_with_attention.pbtxt has it; the lips' points are those that their part is cut
        out by.
        """
        shapes = {"mesh": [1, 468, 3], "lips": [1, len(self._part), 2]}
        mesh, lips = (
            self._node("Reshape", [f"t{outputs[name]}", self._numbers(shape)])
            for name, shape in zip(("output_mesh_identity", "output_lips"), shapes.values(), strict=True)
        )
        places = self._tensor("places", np.repeat(np.array(self._part, np.int64)[None, :, None], 2, 2))
        self._node("ScatterElements", [mesh, places, lips], "mesh", axis=1)
        flag = outputs["conv_faceflag"]
        return {"mesh": shapes["mesh"], f"t{flag}": self._planes(flag)}

    def _added(self, inputs: list[int], output: int) -> None:
        if inputs[0] in self._signs:
            assert np.array_equal(self._signs[inputs[0]], self._signs[inputs[1]])
            self._signs[output] = self._signs[inputs[0]]
        self._node("Add", [f"t{number}" for number in inputs], f"t{output}")

    def _padded(self, source: str, channels: int, sides: list[list[int]], result: str) -> None:
        """Channels of zeros. As many as there are come from a convolution, so that a picture's layout can stay."""
        *others, (before, after) = sides
        assert not np.any(others), "only channels are padded"
        if before == 0 and after == channels:
            zeros = self._channels(source, f"{result}_zero", np.zeros(channels, np.float16))
            self._node("Concat", [source, zeros], result, axis=1)
        else:
            self._node("Pad", [source, self._numbers([0, before, 0, 0, 0, after, 0, 0])], result)

    def _prelu(self, source: int, slope: NDArray[Any], output: int) -> None:
        """As convolutions of single pixels, a channel each: with ONNX Runtime's PRelu all takes three times as long.

        PReLU(x) = a x + (1 - a) ReLU(x) = a x + s ReLU(|1 - a| x), where s is 1, or -1 where a is over 1. Where all
        that follows can do with s PReLU(x), that is the result, so that no third convolution is needed.
        """
        result, before = f"t{output}", self._signs.get(source, np.ones(slope.size, np.float16))
        slope = slope.astype(np.float32).ravel()
        after = np.where(slope > 1, -1, 1).astype(np.float16)
        bend = self._channels(f"t{source}", f"{result}_bend", abs(1 - slope) * before)
        bent = self._node("Relu", [bend])
        if {self._name(user) for user in self._users[output]} <= _LINEAR:
            self._signs[output] = after
            slope = slope * after
        elif after.min() < 0:
            bent = self._channels(bent, f"{result}_sign", after)
        self._node("Add", [self._channels(f"t{source}", f"{result}_slope", slope * before), bent], result)

    def _channels(self, source: str, name: str, factors: NDArray[Any]) -> str:
        """A picture times a factor a channel, in the layout of convolutions."""
        return self._node("Conv", [source, self._tensor(name, factors.reshape(-1, 1, 1, 1))], group=factors.size)

    def _placed(self, options: Any, size: tuple[int, ...], source: int, output: int) -> dict[str, Any]:
        """Strides, and the rows and columns of zeros that TFLite's "same" adds, more of them at the end."""
        strides = options.StrideH(), options.StrideW()
        before, after = [], []
        for axis, (stride, width) in enumerate(zip(strides, size, strict=True), 1):
            reach = (self._shape(output)[axis] - 1) * stride + width
            missing = max(0, reach - self._shape(source)[axis])
            before.append(missing // 2)
            after.append(missing - missing // 2)
        return {"strides": strides, "pads": before + after}

    def _shape(self, number: int) -> list[int]:
        return [int(side) for side in self._graph.Tensors(number).ShapeAsNumpy()]

    def _planes(self, number: int) -> list[int]:
        shape = self._shape(number)
        return [shape[0], shape[3], *shape[1:3]] if len(shape) == 4 else shape

    def _stored(self, number: int) -> NDArray[Any] | None:
        tensor = self._graph.Tensors(number)
        buffer = self._model.Buffers(tensor.Buffer())
        if not buffer.DataLength():
            return None
        return np.frombuffer(buffer.DataAsNumpy().tobytes(), _TYPES[tensor.Type()]).reshape(self._shape(number))

    def _tensor(self, name: str, value: Any) -> str:
        """Store a constant; one of float16 is cast when the model is loaded."""
        half = value.dtype == np.float16
        self._tensors.append(numpy_helper.from_array(np.array(value, order="C"), f"{name}_half" if half else name))
        return self._node("Cast", [f"{name}_half"], name, to=TensorProto.FLOAT) if half else name

    def _numbers(self, values: list[int]) -> str:
        return self._tensor(f"i{len(self._tensors)}", np.array(values, np.int64))

    def _node(self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def _options(operator: Any, kind: Any) -> Any:
    options, table = kind(), operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options


def main() -> None:
    """Convert both models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("wheel", type=Path, help="of mediapipe 0.10.21, for any system")
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        for name, checksum, scale in SOURCES:
            source = wheel.read(name)
            if hashlib.sha256(source).hexdigest() != checksum:
                raise SystemExit(f"{name} is not that of mediapipe 0.10.21")
            model = Converter(source).convert(*scale).SerializeToString()
            path = FOLDER / Path(name).with_suffix(".onnx").name
            write_whole(path, model)
            print(f"{path.name}: sha256 {hashlib.sha256(model).hexdigest()}, {len(model):,} bytes")
            print(f"  at most {difference(source, model, *scale):.2g} from LiteRT")


if __name__ == "__main__":
    main()
