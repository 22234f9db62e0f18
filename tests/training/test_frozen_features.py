"""Frozen convolutions look at crops once: what is kept is what they see, and training learns from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_mixed import SMALL, mixed, parts, rows, trained  # noqa: F401  # a fixture among them

from gunileo.corpus.cache import Cache
from gunileo.training.augmentation import Augmentation
from gunileo.training.config import TrainingConfig
from gunileo.training.dataset import Clips, Draws, collate
from gunileo.training.fine_tune import adapting
from gunileo.training.frozen_features import keep
from gunileo.training.shape_model import LabialShape, ShapeConfig
from gunileo.training.weights import heads, load_weights, save_model
from gunileo.vision.crop import normalise

STILL = TrainingConfig(looks=2, augmentation=Augmentation(0, False, 0, 0, 0, 0, 0, 0, 0, concatenation=0))


@pytest.fixture(scope="module")
def network() -> LabialShape:
    torch.manual_seed(0)
    return LabialShape(ShapeConfig(channels=(2, 2, 2), words=("bin", "blue"))).eval()


def test_looks_are_what_the_convolutions_see(mixed: Path, network: LabialShape, tmp_path: Path) -> None:  # noqa: F811
    cache = Cache(mixed)
    clips = [one for one in cache.utterances if one.has_crops]
    looks = keep(tmp_path / "looks.npy", cache, [*clips, clips[0]], network, STILL)
    for clip in clips:
        with torch.inference_mode():
            expected = network.visual(torch.from_numpy(normalise(cache.crops(clip)))[None, None])[0].numpy()
        np.testing.assert_allclose(looks(clip, np.random.default_rng(0)), expected, atol=2e-3)
    with pytest.raises(KeyError):
        looks(next(one for one in cache.utterances if not one.has_crops), np.random.default_rng(0))


def test_looks_at_a_clip_differ_and_a_seed_repeats_them(mixed: Path, network: LabialShape, tmp_path: Path) -> None:  # noqa: F811
    cache = Cache(mixed)
    clips = [one for one in cache.utterances if one.has_crops][:2]
    one, same, other = (
        keep(tmp_path / name, cache, clips, network, TrainingConfig(looks=4, seed=seed))
        for name, seed in (("a.npy", 0), ("b.npy", 0), ("c.npy", 1))
    )
    assert one.path.read_bytes() == same.path.read_bytes() != other.path.read_bytes()
    random = np.random.default_rng(0)
    drawn = [one(clips[1], random) for _ in range(40)]
    assert len({look.tobytes() for look in drawn}) == 4
    assert {look.shape for look in drawn} == {(clips[1].frames, network.visual_features)}


def test_a_network_gives_the_same_for_features_as_for_their_crops(
    mixed: Path,  # noqa: F811
    network: LabialShape,
    tmp_path: Path,
) -> None:
    cache = Cache(mixed)
    clips = [one for one in cache.utterances if one.has_crops][:3]
    looks = keep(tmp_path / "looks.npy", cache, clips, network, STILL)
    crops, features = (collate([Clips(cache, clips, looks=some)[i] for i in range(3)]) for some in (None, looks))
    assert features.crops is None
    assert features.visual is not None
    with torch.inference_mode():
        expected, found = heads(network, crops)[0], heads(network, features)[0]
    for own, other, length in zip(expected, found, crops.lengths, strict=True):
        np.testing.assert_allclose(own[:length], other[:length], atol=5e-3)


def test_word_spans_are_cut_from_looks(mixed: Path, network: LabialShape, tmp_path: Path) -> None:  # noqa: F811
    cache = Cache(mixed)
    clips = [one for one in cache.utterances if one.has_crops][:1]
    looks = keep(tmp_path / "looks.npy", cache, clips, network, STILL)
    draws = Draws(replace(Augmentation(), concatenation=0.0), spans=frozenset({0}))
    sample = Clips(cache, clips, draws=draws, looks=looks)[0]
    assert sample.visual is not None
    assert len(sample.visual) == len(sample.words) == len(sample.shape) < clips[0].frames


def test_training_learns_from_looks_and_leaves_the_convolutions(
    mixed: Path,  # noqa: F811
    network: LabialShape,
    tmp_path: Path,
) -> None:
    cache = Cache(mixed)
    words = tuple(sorted({word.word for one in cache.utterances for word in one.words}))
    first = LabialShape(replace(network.config, words=words))
    save_model(first, tmp_path / "first.safetensors")
    settings = replace(SMALL, init=str(tmp_path / "first.safetensors"), frozen=True, looks=2)
    run = trained(cache, *parts(cache), tmp_path / "run", settings)
    found = rows(run)
    assert found[-1]["train_loss"] < found[0]["train_loss"]
    assert not list(run.glob("looks*")), "gigabytes that nobody needs any more"
    assert json.loads((run / "settings.json").read_text())["looks"] == 2
    learnt = load_weights(run / "model.safetensors")
    own, other = first.state_dict(), learnt.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own if name.startswith("convolutions"))
    assert not torch.equal(own["pixels.weight"], other["pixels.weight"])
    assert rows(trained(cache, *parts(cache), tmp_path / "again", settings)) == found


def test_only_the_layers_that_take_crops_and_shape_in_learn_a_face(
    mixed: Path,  # noqa: F811
    network: LabialShape,
    tmp_path: Path,
) -> None:
    cache = Cache(mixed)
    save_model(network, tmp_path / "first.safetensors")
    initial = replace(SMALL, init=str(tmp_path / "first.safetensors"))
    adapted = replace(adapting(initial), samples=4, epochs=1, looks=1)
    clips = [replace(one, words=()) for one in cache.utterances if one.has_crops]
    run = trained(cache, clips[1:], clips[:1], tmp_path / "run", adapted)
    own, other = network.state_dict(), load_weights(run / "model.safetensors").state_dict()
    moved = {name.partition(".")[0] for name, value in own.items() if not torch.equal(value, other[name])}
    assert {"shape", "shape_norm", "pixels", "pixels_norm", "pixels_block"} <= moved
    assert moved <= {"shape", "shape_norm", "pixels", "pixels_norm", "pixels_block", "missing"}
    means = [name for name in own if "running" in name]
    assert means
    assert all(torch.equal(own[name], other[name]) for name in means), "those of a few clips are one face's"
