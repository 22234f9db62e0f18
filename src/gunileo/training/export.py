"""LabialCNN to ONNX: half the size on disk, float32 in the computation, checked against PyTorch."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from gunileo.corpus.grid import CLASSES
from gunileo.errors import GunileoError
from gunileo.inference import confidence, registry, timing
from gunileo.inference.confidence import Calibrations
from gunileo.inference.load import load_model
from gunileo.training.model import ModelConfig
from gunileo.training.shape_model import LabialShape, ShapeConfig
from gunileo.training.weights import Network, described, load_weights
from gunileo.util.files import whole
from gunileo.util.onnx import session
from gunileo.vision.crop import HEIGHT, WIDTH
from gunileo.vision.mouth_shape import FEATURES
from gunileo.vision.video import FPS

OPSET = 17
LICENSE = "Apache-2.0"
_TOLERANCE = 1e-3  # of a log-probability: no decoded sentence changes by that
_CARD = ("trained_on", "measured_on", "wer_greedy", "wer_grammar", "cer_greedy", "cer_grammar", "attribution")


def export_model(name: Path | str, path: Path) -> float:
    """Write a shipped model, by its name, or a finished run's, by its folder, as an ONNX file for any runtime.

    The file is what ``export_onnx`` makes, with calibration and timing as Gunileo itself uses them and, of a shipped
    model, its card. Returns by how much its log-probabilities differ at most from PyTorch's, on random clips. Raises
    ``ModelError`` if there is no such model, ``GunileoError`` if the difference is over a thousandth; nothing is
    written then.
    """
    model, reader, info = load_weights(registry.weights_of(name)), load_model(name), registry.shipped(name)
    card = {entry: str(value) for entry, value in asdict(info).items() if entry in _CARD} if info else {}
    with whole(path) as part:
        export_onnx(model, part, info.name if info else path.stem)
        describe_calibration(part, reader.calibrations, reader.timing, card)
        difference = float(np.max([_difference(rounded(model), part, *size) for size in ((1, 75), (2, 75), (1, 1))]))
        if not difference <= _TOLERANCE:  # nor if it is no number
            raise GunileoError(f"{path}: differs from PyTorch's output by {difference:.3g}; train or install it again")
    return difference


def _difference(model: Network, path: Path, clips: int, frames: int) -> float:
    """The largest difference between both networks' log-probabilities on random crops, and shapes if it takes any."""
    random = torch.Generator().manual_seed(clips)
    inputs = _inputs(model, clips, frames, random)
    (output,) = session(str(path), threads=0).run(
        ["log_probabilities"], {name: value.numpy() for name, value in inputs.items()}
    )
    crops, *shape = inputs.values()
    with torch.no_grad():
        expected = (
            model.views(model.visual(crops), *shape).log_probabilities
            if isinstance(model, LabialShape)
            else model(crops)
        )
    return float(np.abs(output - expected.numpy()).max())


def _inputs(model: Network, clips: int, frames: int, random: torch.Generator) -> dict[str, Tensor]:
    """Random inputs of an exported network, by name."""
    inputs = {"regions": torch.randn(clips, 1, frames, HEIGHT, WIDTH, generator=random)}
    if isinstance(model, LabialShape):
        inputs["shape"] = torch.randn(clips, frames, FEATURES, generator=random)
    return inputs


def rounded(model: Network) -> Network:
    """The network that is shipped: folded to the published layers, its weights rounded to float16.

    Returns a copy, float32, in evaluation mode. An exported file computes exactly this network.
    """
    copied = copy.deepcopy(model).cpu().eval().fold()
    for parameter in copied.parameters():
        parameter.data = parameter.data.half().float()
    return copied


class _Planar(nn.Module):
    """A network's way without lengths, its convolutions over three frames written as ones over a picture.

    The three frames' channels are stacked to one picture's, which gives the same sums. ONNX Runtime has fast code for
    convolutions of two dimensions alone: a third less time.
    """

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: Tensor, shape: Tensor | None = None) -> tuple[Tensor, ...]:
        features = self._convolved(crops)
        if isinstance(self.model, LabialShape):
            assert shape is not None
            outputs = self.model.views(features, shape)
        else:
            outputs = self.model.recur(features)
        words = () if outputs.words is None else (outputs.words.log_softmax(-1),)
        return outputs.log_probabilities, outputs.features, *words

    def _convolved(self, crops: Tensor) -> Tensor:
        """What ``FrontEnd.visual`` gives, [N, T, F]."""
        clips, _, frames = crops.shape[:3]
        x = crops.transpose(1, 2).flatten(0, 1)
        if self.model.config.shrink > 1:
            x = nn.functional.avg_pool2d(x, self.model.config.shrink)
        for block in self.model.convolutions:
            conv = block[0]  # type: ignore[index]
            padded = nn.functional.pad(x.reshape(clips, frames, *x.shape[1:]), (0, 0, 0, 0, 0, 0, 1, 1))
            stacked = torch.cat([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], 2).flatten(0, 1)
            weight = conv.weight.transpose(1, 2).flatten(1, 2)
            x = nn.functional.conv2d(stacked, weight, conv.bias, conv.stride[1:], conv.padding[1:])
            x = nn.functional.max_pool2d(x, 2).relu()
        return x.reshape(clips, frames, *x.shape[1:]).flatten(2)


def export_onnx(model: Network, path: Path | str, name: str | None = None, license: str = LICENSE) -> None:
    """Write ``rounded(model)`` as an ONNX file that ``gunileo.load_model`` reads.

    Of a LabialShape the file computes ``LabialShape.views``.

    Input ``regions`` (mouth crops; the name that exported files have had from the first), float32 [N, 1, T, 100, 150],
    as ``gunileo.vision.crop.normalise`` makes them, and of a LabialShape ``shape``, float32 [N, T, 12], as
    ``gunileo.vision.mouth_shape.features`` makes it. Output ``log_probabilities`` [N, T, 37], ``features`` [N, T, F]
    from before the word head, which tell recordings of a command from those of another, and with self-conditioning
    ``words`` [N, T, 1 + words], natural logarithms too, of silence and the configuration's words. N and T are free, but
    all clips of a batch have the same T. Weights are stored in float16, each with a cast to float32 that ONNX Runtime
    carries out once on loading. ``name`` (the file's stem if left out), ``license``, classes, frame rate, size,
    normalisation and configuration are stored as metadata.
    """
    path = Path(path)
    shipped = rounded(model)
    with whole(path) as part:
        _trace(shipped, part)
        exported = onnx.load(str(part))
        _halve(exported.graph)
        _describe(exported, {**_metadata(shipped.config), "name": name or path.stem, "license": license})
        onnx.checker.check_model(exported)
        onnx.save(exported, str(part))


def _trace(model: Network, path: Path) -> None:
    outputs = ["log_probabilities", "features", "words"][: 3 if model.words else 2]
    inputs = _inputs(model, 2, 7, torch.Generator())
    free = {"regions": {0: "N", 2: "T"}, **{name: {0: "N", 1: "T"} for name in ["shape"][: len(inputs) - 1] + outputs}}
    with warnings.catch_warnings():
        # The exporter warns of GRUs with a free batch size, whose first state it would fix if we gave one.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=TracerWarning)  # checks of sizes that are always equal
        torch.onnx.export(
            _Planar(model),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=free,
            opset_version=OPSET,
            # Batch normalisation over time stays a layer: folded into weights, those were no float16 any more. ONNX
            # Runtime folds it on loading.
            training=torch.onnx.TrainingMode.PRESERVE,
            dynamo=False,
        )


def _metadata(config: ModelConfig | ShapeConfig) -> Mapping[str, str]:
    return {
        "gunileo_classes": json.dumps(CLASSES),
        "tokens": json.dumps(CLASSES),
        "input": "mouth",
        "decoder": "ctc",
        "fps": str(FPS),
        "height": str(HEIGHT),
        "width": str(WIDTH),
        "normalisation": "clip",  # mean 0, standard deviation 1 over the whole clip
        "config": json.dumps(described(config)),
    }


def _describe(network: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    for key, value in metadata.items():
        network.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))


def describe_calibration(
    path: Path | str,
    calibrations: Calibrations,
    times: timing.Timing | None = None,
    card: Mapping[str, str] | None = None,
) -> None:
    """Store calibrations and timing in an exported file's metadata, in place of any that it has; none go in as none.

    What ``card`` says of the model is stored beside them.

    Raises ``FileError`` if the file can't be written.
    """
    exported = onnx.load(str(path))
    kept = [entry for entry in exported.metadata_props if entry.key not in ("calibration", "timing")]
    del exported.metadata_props[:]
    exported.metadata_props.extend(kept)
    if calibrations:
        _describe(exported, {"calibration": confidence.to_json(calibrations)})
    if times:
        _describe(exported, {"timing": timing.to_json(times)})
    _describe(exported, card or {})
    with whole(Path(path)) as part:
        onnx.save(exported, str(part))


def _halve(graph: onnx.GraphProto) -> None:
    """Store every float32 tensor that float16 holds exactly as float16 with a cast, ``x_half`` → ``x``."""
    casts, tensors = [], []
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        half = value.astype(np.float16)
        if tensor.data_type == TensorProto.FLOAT and value.ndim and np.array_equal(half.astype(np.float32), value):
            tensors.append(numpy_helper.from_array(half, f"{tensor.name}_half"))
            casts.append(helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], to=TensorProto.FLOAT))
        else:
            tensors.append(tensor)
    nodes = [*casts, *graph.node]  # a value comes before its use
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(tensors)
    graph.node.extend(nodes)
