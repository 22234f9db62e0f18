"""A slow sentence is read at the pace that the network learnt; each frame keeps an output, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import as_trained
from torch import Tensor, nn

from gunileo.corpus.cache import CachedUtterance
from gunileo.corpus.labels import WordTime
from gunileo.training.config import from_scratch
from gunileo.training.initialise import initialise_shapes, network
from gunileo.training.pace import pace, usual_sentence
from gunileo.training.shape_model import LabialShape, ShapeConfig
from gunileo.training.weights import save_model
from gunileo.vision.mouth_shape import FEATURES
from gunileo.vision.video import FPS

WORDS = ("bin", "blue", "lay")
SMALL = ShapeConfig(channels=(2, 3, 4), width=12, before=(1, 2), after=(1,), words=WORDS, sentence=1.0)


def spoken(frames: int, first: int, last: int) -> Tensor:
    """Scores of words [1, frames, 4]: the second word from frame ``first`` to ``last``, else silence."""
    scores = torch.zeros(1, frames, 4)
    scores[..., 0] = 30
    scores[:, first : last + 1, 2] = 60
    return scores


def said(name: str, *words: WordTime) -> CachedUtterance:
    return CachedUtterance(name, "s1", 75, " ".join(word.word for word in words), words, f"{name}.png")


def test_a_slow_sentence_is_read_faster() -> None:
    found = pace(spoken(90, 20, 69), 40 / FPS)  # 50 frames where 40 are usual
    assert found.inside.sum() == pytest.approx(90 / 1.25, abs=1)
    ramp = torch.arange(90.0)[None, :, None]
    faster = found.faster(ramp)[0, found.inside[0, 0] > 0, 0]
    assert torch.diff(faster).median() == pytest.approx(1.25)
    assert ((faster >= 20) & (faster < 70)).sum() == 40


@pytest.mark.parametrize("first", range(5, 25))
@pytest.mark.parametrize("count", range(42, 64, 3))
def test_each_frame_has_an_output_and_none_of_the_faster_clip_is_lost(first: int, count: int) -> None:
    found = pace(spoken(90, first, first + count - 1), 40 / FPS)
    numbers = torch.arange(90.0)[None, :, None]
    restored = found.restored(numbers)[0, :, 0]
    assert (torch.diff(restored) >= 0).all()
    assert set(restored.tolist()) == set(numbers[0, found.inside[0, 0] > 0, 0].tolist())
    times = found.restored(found.faster(numbers))[0, :, 0]
    assert (times - numbers[0, :, 0]).abs().max() < 1.5  # of the frame that it stands for


@pytest.mark.parametrize("last", [59, 49, 20])
def test_what_is_not_slow_stays_as_it_is_to_the_bit(last: int) -> None:
    found = pace(spoken(90, 20, last), 40 / FPS)
    values = torch.randn(1, 90, 5)
    assert (found.inside == 1).all()
    assert torch.equal(found.faster(values), values)
    assert torch.equal(found.restored(values), values)


def test_several_sentences_are_not_taken_for_a_slow_one() -> None:
    assert torch.equal(pace(spoken(150, 10, 75), 40 / FPS).source, torch.arange(150.0)[None])  # 1.65 times


def test_the_slowest_are_brought_only_so_far() -> None:
    assert torch.diff(pace(spoken(100, 10, 71), 40 / FPS).source).median() == pytest.approx(1.4)  # not 1.55


def test_clips_of_a_batch_have_paces_of_their_own() -> None:
    both = pace(torch.cat([spoken(90, 20, 69), spoken(90, 20, 59)]), 40 / FPS)
    values = torch.randn(2, 90, 5)
    assert torch.equal(both.faster(values)[1], values[1])
    assert torch.equal(both.faster(values)[0], pace(spoken(90, 20, 69), 40 / FPS).faster(values[:1])[0])


@pytest.mark.parametrize("frames", [1, 2])
def test_a_clip_of_a_frame_or_two(frames: int) -> None:
    values = torch.randn(1, frames, 5)
    found = pace(spoken(frames, 0, frames), 0.03 * frames)
    assert frames == 1 or torch.diff(found.source).item() > 1.3
    assert found.restored(found.faster(values)).shape == values.shape


def test_a_slow_clip_is_read_as_the_shorter_one() -> None:
    """What lies outside of the shorter clip is as padding is: it changes nothing."""
    torch.manual_seed(0)
    model = as_trained(LabialShape(SMALL))
    nn.init.normal_(model.missing)
    shape = torch.randn(1, 60, FEATURES)
    visual = torch.randn(1, 60, model.visual_features)
    both, alone = torch.ones(1, 2), torch.tensor([[0.0, 1.0]])
    with torch.no_grad():
        scores = model.read(visual, shape, torch.ones(1, 1, 60), both).words
        assert scores is not None
        speech = float((1 - scores.softmax(-1)[..., 0]).sum() / FPS)
        model.config = replace(model.config, sentence=speech / 1.25)
        found = pace(scores, model.config.sentence)
        kept = found.inside[0, 0] > 0
        assert 40 < kept.sum() < 55
        short, seen = found.faster(shape)[:, kept], found.faster(visual)[:, kept]
        whole = torch.ones(1, 1, short.shape[1])
        views = (model.read(seen, short, whole, both), model.read(None, short, whole, alone))
        expected = ((views[0].log_probabilities + views[1].log_probabilities) / 2).log_softmax(-1)
        read = model.views(visual, shape)
    first = int(kept.nonzero()[0])
    assert found.back[0].min() >= first
    torch.testing.assert_close(read.log_probabilities, expected[:, found.back[0] - first])
    assert read.words is not None
    torch.testing.assert_close(read.words, scores)  # of the clip as it was said, as its times are


def test_the_usual_length_of_a_sentence() -> None:
    one = said("a", WordTime("bin", 0.5, 1.0), WordTime("blue", 1.0, 2.0))
    other = said("b", WordTime("lay", 0.2, 0.5), WordTime("blue", 1.0, 2.7))
    untimed = replace(one, words=())
    assert usual_sentence([one, other, untimed]) == 2.0
    assert usual_sentence([untimed]) is None
    longer = replace(one, text="bin blue at", words=())
    assert usual_sentence([one, longer]) == 0  # a longer sentence may not be a slower one
    assert usual_sentence([said("d", WordTime("bin", 0.0, 1.0))]) == 0  # nor a longer word


def test_a_run_keeps_the_length_of_its_first_weights_where_lengths_tell_the_pace(tmp_path: Path) -> None:
    first = tmp_path / "first.safetensors"
    save_model(LabialShape(SMALL), first)
    slower = replace(SMALL, sentence=1.8)
    assert initialise_shapes(str(first), slower).config.sentence == 1.0
    assert initialise_shapes(str(first), replace(slower, words=("other",))).config.sentence == 1.8


def test_a_run_gets_the_length_of_what_it_learns_from(tmp_path: Path) -> None:
    config = ShapeConfig(channels=SMALL.channels)
    settings = from_scratch(config)

    def length(sentence: float | None, init: str = "") -> float:
        model = network(replace(settings, init=init), WORDS, sentence)
        assert isinstance(model, LabialShape)
        return model.config.sentence

    assert [length(1.7), length(0.0), length(None)] == [1.7, 0.0, 0.0]
    first = str(tmp_path / "first.safetensors")
    save_model(LabialShape(replace(config, words=WORDS, sentence=1.2)), first)
    assert [length(1.7, first), length(0.0, first), length(None, first)] == [1.2, 0.0, 1.2]
