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
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
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
        self._factor = np.float32(1)  # of the pixels, beside what is done to them before the first convolution
        stored = ((number, self._stored(number)) for number in range(self._graph.TensorsLength()))
        self._constants = {number: value for number, value in stored if value is not None}

    def convert(self, factor: float, summand: float) -> onnx.ModelProto:
        """The ONNX model; its input "picture" times ``factor`` plus ``summand`` is TFLite's."""
        picture, outputs = self._graph.Inputs(0), self._graph.OutputsAsNumpy()
        planes = self._node("Transpose", [self._node("Cast", ["picture"], to=TensorProto.FLOAT)], perm=[0, 3, 1, 2])
        if summand:
            planes = self._node("Mul", [planes, self._tensor("factor", np.float32(factor))])
        else:
            self._factor = np.float32(factor)  # which the first convolution takes into its weights
        shift = self._tensor("summand", np.float32(summand))
        self._node("Add", [planes, shift], f"t{picture}")  # left out by ONNX Runtime where it is of zeros
        for number in range(self._graph.OperatorsLength()):
            self._operator(self._graph.Operators(number))
        graph = helper.make_graph(
            self._nodes,
            "face",
            [helper.make_tensor_value_info("picture", TensorProto.UINT8, self._shape(picture))],
            [helper.make_tensor_value_info(f"t{one}", TensorProto.FLOAT, self._planes(one)) for one in outputs],
            self._tensors,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model

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
            self._node("Reshape", [self._node("Transpose", [first], perm=[0, 2, 3, 1]), shape], result)
        elif name == "CONCATENATION":
            axis = _options(operator, tflite.ConcatenationOptions).Axis()
            self._node("Concat", [f"t{number}" for number in inputs], result, axis=axis)
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
