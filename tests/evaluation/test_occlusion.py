"""Covering pieces of a clip finds those that a network with known eyes looks at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from mouths import clip_of
from onnx import TensorProto, helper, numpy_helper

from gunileo.corpus.grid import CLASSES, SLOTS, encode
from gunileo.decoding.ctc import DecodeError, viterbi
from gunileo.decoding.grammar import Grammar
from gunileo.evaluation.occlusion import COLUMNS, ROWS, saliency
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.vision.crop import HEIGHT, WIDTH
from gunileo.vision.mouth_clip import MouthClip

SENTENCE = "bin blue at f two now"
LETTER = 3  # the place that the network has to look for
PRO = (slice(41, 45), slice(25, 50), slice(60, 90))  # frames, rows and columns where a light says "f"
CONTRA = (slice(45, 49), slice(75, 100), slice(0, 30))  # and where one says anything but "f"


def answers() -> tuple[np.ndarray, np.ndarray]:
    """Scores [75, C] that spell ``SENTENCE``, with a doubtful letter, and what a light adds to them."""
    logits = np.zeros((75, len(CLASSES)), np.float32)
    logits[:, 0] = 6
    for index, symbol in enumerate(encode(SENTENCE)):
        frame = 5 + 3 * index
        logits[frame] = 0
        logits[frame, symbol] = 6
    letter = 5 + 3 * SENTENCE.index(" f ") + 3
    assert letter == 41
    logits[letter, encode("f")[0]] = 2
    effect = np.zeros_like(logits)
    effect[letter, encode("f")[0]] = 0.1
    return logits, effect


def looking(path: Path) -> Reader:
    """A network that reads ``SENTENCE`` with a letter that two patches of the picture decide about."""
    logits, effect = answers()
    nodes, constants = [], [("logits", logits), ("effect", effect)]
    for name, patch, sign in (("pro", PRO, 1.0), ("contra", CONTRA, -0.5)):
        constants += [(f"{name}_from", np.array([one.start for one in patch]))]
        constants += [(f"{name}_to", np.array([one.stop for one in patch]))]
        constants += [(f"{name}_sign", np.float32(sign))]
        nodes += [
            helper.make_node("Slice", ["regions", f"{name}_from", f"{name}_to", "axes"], [f"{name}_cut"]),
            helper.make_node("ReduceMean", [f"{name}_cut"], [f"{name}_mean"], axes=[1, 2, 3, 4], keepdims=0),
            helper.make_node("Mul", [f"{name}_mean", f"{name}_sign"], [name]),
        ]
    nodes += [
        helper.make_node("Add", ["pro", "contra"], ["seen"]),
        helper.make_node("Reshape", ["seen", "column"], ["light"]),
        helper.make_node("Mul", ["light", "effect"], ["moved"]),
        helper.make_node("Add", ["moved", "logits"], ["scores"]),
        helper.make_node("LogSoftmax", ["scores"], ["log_probabilities"], axis=-1),
    ]
    constants += [("axes", np.array([2, 3, 4])), ("column", np.array([-1, 1, 1]))]
    graph = helper.make_graph(
        nodes,
        "looking",
        [helper.make_tensor_value_info("regions", TensorProto.FLOAT, ["N", 1, "T", HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("log_probabilities", TensorProto.FLOAT, ["N", "T", len(CLASSES)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    expected = {"fps": "25", "height": "100", "width": "150", "normalisation": "clip"}
    for key, value in {"gunileo_classes": json.dumps(CLASSES), **expected}.items():
        network.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))
    onnx.checker.check_model(network)
    onnx.save(network, str(path))
    return load_model(path)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return looking(tmp_path / "looking.onnx")


def clip() -> MouthClip:
    """A dark clip of three seconds with both lights on."""
    crops = np.full((75, HEIGHT, WIDTH), 20, np.uint8)
    crops[PRO] = crops[CONTRA] = 220
    return clip_of(crops)


def test_the_pieces_that_decided_are_found(reader: Reader) -> None:
    words = SENTENCE.split()
    decoded = viterbi(reader.log_probabilities(clip()), Grammar.grid())
    assert decoded.text == SENTENCE
    word = decoded.words[LETTER]
    assert (word.start, word.end) == (41 / 25, 42 / 25)
    found = saliency(reader, clip(), words, LETTER, SLOTS[LETTER], word.start, word.end)
    assert found.windows == [(38, 42), (42, 46)]

    found = saliency(reader, clip(), words, LETTER, SLOTS[LETTER], 44 / 25, 46 / 25)
    assert found.windows == [(41, 45), (45, 49)]
    patches = np.array(found.patches)
    assert patches.shape == (2, ROWS, COLUMNS)
    expected = np.zeros_like(patches)
    expected[0, 1, 2] = patches[0, 1, 2]
    expected[1, 3, 0] = patches[1, 3, 0]
    assert patches[0, 1, 2] > 0.1 > -0.01 > patches[1, 3, 0]
    np.testing.assert_allclose(patches, expected, atol=1e-3)  # what never changes decides nothing
    # a piece holds all that was to be seen in its frames
    np.testing.assert_allclose(found.frames, [patches[0, 1, 2], patches[1, 3, 0]], rtol=1e-2)


def test_odds_are_of_the_word_given_the_others(reader: Reader) -> None:
    logp = reader.log_probabilities(clip())
    words, letters = SENTENCE.split(), SLOTS[LETTER]
    found = saliency(reader, clip(), words, LETTER, letters, 1.6, 1.7)
    # With the others fixed, the sentence's posterior over the 25 letters gives the odds.
    fixed = Grammar([[word] if place != LETTER else letters for place, word in enumerate(words)])
    chance = viterbi(logp, fixed).confidence
    assert found.odds == pytest.approx(np.log(chance / (1 - chance)), abs=1e-3)


def test_windows_stay_within_the_clip(reader: Reader) -> None:
    words = SENTENCE.split()
    first = saliency(reader, clip(), words, 0, SLOTS[0], 0.0, 0.08)
    assert first.windows == [(0, 4), (4, 8)]
    last = saliency(reader, clip(), words, 5, SLOTS[5], 2.92, 3.0)
    assert last.windows == [(70, 74), (74, 75)]


def test_too_short_a_clip_is_refused(reader: Reader) -> None:
    with pytest.raises(DecodeError, match="too few"):
        saliency(reader, clip(), ["bin"] * 30, 0, SLOTS[0], 0, 0.1)
