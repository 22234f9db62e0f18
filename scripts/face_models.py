"""Convert MediaPipe's face models to ONNX: python scripts/face_models.py mediapipe-0.10.21-*.whl

Writes src/gunileo/vision/landmarks/*.onnx from the two TFLite models in the wheel, and prints how far their output on
random pictures is from LiteRT's, and their checksums for NOTICE. Weights stay the float16 that they are stored in, but
for those that take the pixels' factor. Needs ``pip install tflite ai-edge-litert`` and the "train" extra; ``pip
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
import onnxruntime
import tflite
from ai_edge_litert.interpreter import Interpreter
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
_RELU = tflite.ActivationFunctionType.RELU
_PICTURES = 5  # random ones that are compared


class Converter:
    """A TFLite graph over one picture, float32 [1, H, W, C], as an ONNX graph; the picture's pixels are uint8.

    Every tensor of four dimensions but the picture becomes [1, C, H, W].
    """

    def __init__(self, content: bytes) -> None:
        self._model = tflite.Model.GetRootAsModel(content, 0)
        self._graph = self._model.Subgraphs(0)
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []
        self._part: list[int] = []  # points of the mesh that are refined
        self._factor = np.float32(1)  # of the pixels, beside what is done to them before the first convolution
        stored = ((number, self._stored(number)) for number in range(self._graph.TensorsLength()))
        self._constants = {number: value for number, value in stored if value is not None}

    def convert(self, factor: float, summand: float) -> onnx.ModelProto:
        """The ONNX model; its input "picture" times ``factor`` plus ``summand`` is TFLite's."""
        picture = self._graph.Inputs(0)
        outputs = {self._graph.Tensors(number).Name().decode(): number for number in self._graph.OutputsAsNumpy()}
        wanted = [number for name, number in outputs.items() if "eye" not in name and "iris" not in name]
        planes = self._node("Transpose", [self._node("Cast", ["picture"], to=TensorProto.FLOAT)], perm=[0, 3, 1, 2])
        if summand:
            planes = self._node("Mul", [planes, self._tensor("factor", np.float32(factor))])
        else:
            self._part: list[int] = []  # points of the mesh that are refined
        self._factor = np.float32(factor)  # which the first convolution takes into its weights
        shift = self._tensor("summand", np.float32(summand))
        self._node("Add", [planes, shift], f"t{picture}")  # left out by ONNX Runtime where it is of zeros
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
        tensors, operators = set(wanted), []
        for number in reversed(range(self._graph.OperatorsLength())):
            operator = self._graph.Operators(number)
            if operator.Outputs(0) in tensors:
                tensors.update(operator.InputsAsNumpy().tolist())
                operators.insert(0, operator)
        return operators

    def _operator(self, operator: Any) -> None:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        name = _OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]  # the latter where it is below 127
        inputs, output = operator.InputsAsNumpy().tolist(), operator.Outputs(0)
        first, result = f"t{inputs[0]}", f"t{output}"
        if name == "DEQUANTIZE":
            self._constants[output] = self._constants[inputs[0]]
        elif name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self._convolution(name, operator, inputs, output)
        elif name == "PRELU":
            self._prelu(first, self._constants[inputs[1]], result)
        elif name == "RELU":
            self._node("Relu", [first], result)
        elif name == "ADD":
            self._node("Add", [f"t{number}" for number in inputs], result)
        elif name == "MAX_POOL_2D":
            options = _options(operator, tflite.Pool2DOptions)
            size = options.FilterHeight(), options.FilterWidth()
            self._node("MaxPool", [first], result, kernel_shape=size, **self._placed(options, size, inputs[0], output))
        elif name == "PAD":
            *others, (before, after) = self._constants[inputs[1]].tolist()
            assert not np.any(others), "only channels are padded"
            if before == 0 and after == self._shape(inputs[0])[3]:
                self._doubled(first, after, result)
            else:
                pads = np.array([0, before, 0, 0, 0, after, 0, 0], np.int64)
                self._node("Pad", [first, self._tensor(f"{result}_pads", pads)], result)
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
            factor = factor[0, :2][:, [0, 1, 3]].T if factor.shape == (1, 4, 4) else factor  # a transform, as below
            self._node("Mul", [first, self._tensor(f"{result}_factor", factor)], result)
        elif name == "STRIDED_SLICE":
            assert self._shape(inputs[0]) == self._shape(output), "all is taken"
            self._node("Identity", [first], result)
        elif name == "CUSTOM":
            self._own(code.CustomCode().decode(), operator, inputs, output)
        else:
            raise SystemExit(f"operator {name} is not known here; write its ONNX")

    def _convolution(self, name: str, operator: Any, inputs: list[int], output: int) -> None:
        deep = name == "CONV_2D"
        options = _options(operator, tflite.Conv2DOptions if deep else tflite.DepthwiseConv2DOptions)
        weight = self._constants[inputs[1]].transpose((0, 3, 1, 2) if deep else (3, 0, 1, 2))
        if inputs[0] == self._graph.Inputs(0) and self._factor != 1:
            weight = weight * self._factor
        tensors = [f"t{inputs[0]}", self._tensor(f"t{output}_weight", weight)]
        tensors.append(self._tensor(f"t{output}_bias", self._constants[inputs[2]]))
        places = self._placed(options, weight.shape[2:], inputs[0], output)
        rectified = options.FusedActivationFunction() == _RELU
        linear = f"t{output}_linear" if rectified else f"t{output}"
        self._node("Conv", tensors, linear, group=1 if deep else len(weight), **places)
        if rectified:
            self._node("Relu", [linear], f"t{output}")

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
        places = self._node("Slice", [mesh, *(self._numbers([one]) for one in (0, 2, 2))])
        ends = self._numbers([options["right_rotation_idx"], options["left_rotation_idx"]])
        ends = self._node("Reshape", [self._node("Gather", [places, ends], axis=1), self._numbers([1, 4])])
        # The line as (x, y), and it a quarter turn further: the box's axes, a row each, made one long.
        axes = np.array([[1, 0, 0, 1], [0, 1, -1, 0], [-1, 0, 0, -1], [0, -1, 1, 0]], np.float32)
        lines = self._node("MatMul", [ends, self._tensor(f"{result}_axes", axes)])
        turn = self._node("LpNormalization", [self._node("Reshape", [lines, self._numbers([2, 2])])], axis=1, p=2)
        points = self._node("Gather", [places, self._numbers(self._part)], axis=1)
        turned = self._node("MatMul", [points, self._node("Transpose", [turn], perm=[1, 0])])
        ends = (self._node(f"Reduce{one}", [turned], axes=[0, 1], keepdims=0) for one in ("Max", "Min"))
        # Of the greatest and least x and y: pixels of the whole in one of the part, and where the part's corner is.
        box, corner = np.zeros((2, 2, 3, 2), np.float32), []
        for axis, (name, side) in enumerate((("scale_x", "output_width"), ("scale_y", "output_height"))):
            box[:, axis, axis, axis] = np.array([1, -1]) * options[name] / options[side]
            box[:, axis, 2, axis] = 0.5 - np.array([1, -1]) * options[name] / 2
        box = self._tensor(f"{result}_box", box.reshape(4, 6))
        box = self._node("MatMul", [self._node("Concat", [*ends], axis=0), box])
        self._node("MatMul", [self._node("Reshape", [box, self._numbers([3, 2])]), turn], result)

    def _sampled(self, inputs: list[int], output: int) -> None:
        """transform_tensor_bilinear.cc: a pixel's middle taken to the whole, and the whole's value there."""
        (_, high, wide, _), (_, height, width, _) = self._shape(inputs[0]), self._shape(output)
        y, x = np.divmod(np.arange(height * width), width)
        middles = np.stack([x + 0.5, y + 0.5, np.ones_like(x)], 1).astype(np.float32)
        places = self._node("MatMul", [self._tensor(f"t{output}_middles", middles), f"t{inputs[1]}"])
        # GridSample's own measure: -1 to 1 over the whole.
        measure = self._tensor(f"t{output}_measure", np.array([2 / wide, 2 / high], np.float32))
        places = self._node("Sub", [self._node("Mul", [places, measure]), self._tensor(f"t{output}_one", np.float32(1))])
        grid = self._node("Reshape", [places, self._numbers([1, height, width, 2])])
        self._node("GridSample", [f"t{inputs[0]}", grid], f"t{output}", align_corners=0)

    def _moved(self, points: str, transform: str, result: str) -> None:
        """transform_landmarks.cc: points of a part, (x, y), in the whole."""
        turn, shift = (self._node("Gather", [transform, self._numbers(rows)], axis=0) for rows in ([0, 1], [2]))
        self._node("Add", [self._node("MatMul", [points, turn]), shift], result)

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

    def _doubled(self, source: str, channels: int, result: str) -> None:
        """As many channels of zeros after a picture's own: by a convolution, so that its layout can stay."""
        zeros = self._tensor(f"{result}_zero", np.zeros((channels, 1, 1, 1), np.float16))
        self._node("Concat", [source, self._node("Conv", [source, zeros], group=channels)], result, axis=1)

    def _prelu(self, source: str, slope: NDArray[Any], result: str) -> None:
        """As convolutions of single pixels, a channel each: with ONNX Runtime's PRelu all takes three times as long.

        PReLU(x) = a x + (1 - a) ReLU(x) = a x + s ReLU(|1 - a| x), where s is 1, or -1 where a is over 1.
        """
        slope = slope.astype(np.float32).reshape(-1, 1, 1, 1)
        bend = self._tensor(f"{result}_bend", abs(1 - slope))
        bent = self._node("Relu", [self._node("Conv", [source, bend], group=len(slope))])
        if slope.max() > 1:
            bent = self._node("Conv", [bent, self._tensor(f"{result}_sign", np.sign(1 - slope))], group=len(slope))
        straight = self._node("Conv", [source, self._tensor(f"{result}_slope", slope)], group=len(slope))
        self._node("Add", [straight, bent], result)

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


def difference(source: bytes, model: bytes, factor: float, summand: float) -> float:
    """The greatest difference of any output from LiteRT's, on random pictures."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    interpreter = Interpreter(model_content=source, num_threads=1)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    random, greatest = np.random.default_rng(0), 0.0
    for _ in range(_PICTURES):
        picture = random.integers(0, 256, detail["shape"], np.uint8)
        interpreter.set_tensor(detail["index"], picture * np.float32(factor) + np.float32(summand))
        interpreter.invoke()
        expected = [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
        for one, other in zip(expected, session.run(None, {"picture": picture}), strict=True):
            greatest = max(greatest, float(np.abs(one.ravel() - other.ravel()).max()))
    return greatest


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
