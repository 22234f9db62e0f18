"""Models with other tokens, inputs and decoders than those that come with the package: tiny, made by hand.

Each reads its answer out of the pictures: a frame's class is the value of its first pixel, a fifth of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from mouths import face as faces
from mouths import measured
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gunileo.decoding.vocabulary import Vocabulary
from gunileo.vision.crop import HEIGHT, WIDTH
from gunileo.vision.mouth_clip import MouthClip

STEP = 4  # grey levels from one class to the next
OURS = {"fps": "25", "height": str(HEIGHT), "width": str(WIDTH), "normalisation": "clip"}


def write_model(path: Path, vocabulary: Vocabulary, **metadata: Any) -> Path:
    """An ONNX file whose input is a clip's pictures, float32 [N, T, 8, 8], and whose answer their first pixels tell."""
    size = len(vocabulary)
    constants = {
        "zero": np.array(0, np.int64),
        "step": np.array(STEP, np.float32),
        "half": np.array(0.5, np.float32),
        "depth": np.array(size, np.int64),
        "chances": np.array([np.log(0.03 / (size - 1)), np.log(0.97)], np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["pictures", "zero"], ["row"], axis=3),
        helper.make_node("Gather", ["row", "zero"], ["pixel"], axis=2),
        helper.make_node("Div", ["pixel", "step"], ["level"]),
        helper.make_node("Add", ["level", "half"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["number"], to=TensorProto.INT64),
        helper.make_node("OneHot", ["number", "depth", "chances"], ["log_probabilities"], axis=-1),
        helper.make_node("Exp", ["log_probabilities"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["N", "T", 8, 8])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", "T", size])
            for name in ("log_probabilities", "features")
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    told = {"tokens": list(vocabulary.tokens), "input": "tiny", "decoder": "ctc", **metadata}
    for key, value in told.items():
        model.metadata_props.append(onnx.StringStringEntryProto(key=key, value=json.dumps(value)))
    onnx.save(model, str(path))
    return path


@dataclass(frozen=True)
class TinyView:
    """Eight by eight pixels of the frame's upper left corner."""

    def points(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        return landmarks[0, :2]

    def picture(self, frame: NDArray[np.uint8], near: NDArray[np.float32], at: int) -> NDArray[np.uint8]:
        assert near.shape[1:] == (2,)
        assert 0 <= at < len(near)
        return frame[:8, :8, 0].copy()

    def inputs(self, pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return {"pictures": pictures[None].astype(np.float32)}


@dataclass(frozen=True)
class Found:
    classes: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class TinySearch:
    """Finds what the features say, and the same without its last token."""

    folder: Path
    vocabulary: Vocabulary

    def __call__(self, memory: NDArray[np.float32], logp: NDArray[np.float32]) -> list[Found]:
        assert memory.shape == logp.shape
        best = memory.argmax(1)
        classes = tuple(int(one) for one, before in zip(best, [0, *best[:-1]], strict=True) if one and one != before)
        return [Found(classes, -1.0), Found(classes[:-1], -3.0)]


def frames_of(classes: list[int], hold: int = 2, blanks: int = 1) -> list[int]:
    """The class of each frame: each held for some frames, then blanks; six blanks before and after."""
    said = [one for number in classes for one in [number] * hold + [0] * blanks]
    return [0] * 6 + said + [0] * 6


def clip_saying(classes: list[int]) -> MouthClip:
    """A clip whose pictures name these classes."""
    path = np.array(frames_of(classes))
    views = np.zeros((len(path), 8, 8), np.uint8)
    views[:, 0, 0] = STEP * path
    crops = np.random.default_rng(0).integers(0, 256, (len(path), HEIGHT, WIDTH), np.uint8)
    return MouthClip(crops, measured(faces(len(path))), views)
