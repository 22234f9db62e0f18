"""Pseudo-alignments of a network in training: in order, within the clip, learnt from, kept by a stopped run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.training.alignment import pseudo_align
from gunileo.training.config import TrainingConfig
from gunileo.training.lightning_module import Training
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.training.train import train
from gunileo.training.weights import save_model

QUICK = {"epochs": 3, "batch_size": 2, "precision": "32-true", "workers": 0, "device": "cpu"}


@pytest.fixture
def cache(synthetic_cache: Path) -> Cache:
    return Cache(synthetic_cache)


@pytest.fixture
def network(cache: Cache) -> LabialCNN:
    torch.manual_seed(0)
    names = tuple(sorted({word.word for clip in cache.utterances for word in clip.words}))
    network = LabialCNN(ModelConfig(channels=(2, 2, 3), hidden=8, self_conditioning=True, words=names)).eval()
    network.classes.bias.data[3] = 20  # a letter in every frame, as a run that ends blank is refused
    return network


@pytest.fixture
def settings(network: LabialCNN, tmp_path: Path) -> TrainingConfig:
    save_model(network, tmp_path / "begun.safetensors")
    given = {
        "channels": (2, 2, 3),
        "self_conditioning": True,
        "normalise": False,
        "init": str(tmp_path / "begun.safetensors"),
    }
    return TrainingConfig(**given, **QUICK, pseudo_align_from=1)


def with_texts_alone(cache: Cache) -> list[CachedUtterance]:
    return [replace(clip, words=()) for clip in cache.utterances]


def test_words_are_aligned_in_order_and_within_the_clip(network: LabialCNN, cache: Cache) -> None:
    silent = with_texts_alone(cache)
    times = pseudo_align(network, cache, silent)
    assert list(times) == [clip.id for clip in silent]
    for clip in silent:
        words = times[clip.id]
        assert " ".join(word.word for word in words) == clip.text
        ends = [0.0, *(word.end for word in words)]
        assert all(end <= word.start < word.end for end, word in zip(ends, words, strict=False))
        assert ends[-1] <= clip.frames / 25


def test_words_are_put_where_the_head_names_them(network: LabialCNN, cache: Cache) -> None:
    """A head that names one word in every frame leaves a frame alone to each of the others."""
    clip = with_texts_alone(cache)[0]
    assert network.words is not None
    loud = clip.text.split()[3]
    network.words.bias.data[1 + network.config.words.index(loud)] = 50
    lengths = {word.word: word.end - word.start for word in pseudo_align(network, cache, [clip])[clip.id]}
    assert lengths.pop(loud) > 1
    assert all(length == pytest.approx(0.04) for length in lengths.values())


def test_known_times_and_unknown_words_are_left_alone(network: LabialCNN, cache: Cache) -> None:
    silent = with_texts_alone(cache)
    odd = replace(silent[1], text="xylophone now")
    assert list(pseudo_align(network, cache, [cache.utterances[0], odd, silent[2]])) == [silent[2].id]


def test_clips_are_concatenated_at_pseudo_alignments_but_never_cut_by_them(
    settings: TrainingConfig, cache: Cache, tmp_path: Path
) -> None:
    silent = with_texts_alone(cache)
    fit = Training(cache, silent[:4], silent[4:], tmp_path / "run", settings)
    assert not fit.clips(0).timed
    fit.times = pseudo_align(fit.model, cache, fit.train_part)
    assert sum(map(len, fit.clips(1).timed.values())) == 4
    assert not fit.clips(1).draws.spans, "the schedule counts on as many batches as before"


def test_a_run_hears_them_and_a_resumed_one_remembers(settings: TrainingConfig, cache: Cache, tmp_path: Path) -> None:
    silent = with_texts_alone(cache)
    train(cache, silent[:4], silent[4:], tmp_path / "run", settings)
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert set(last["times"]) == {clip.id for clip in silent[:4]}
    resumed = Training(cache, silent[:4], silent[4:], tmp_path / "run", settings)
    resumed.on_load_checkpoint(last)
    assert {name: [[word.word, word.start, word.end] for word in words] for name, words in resumed.times.items()} == (
        last["times"]
    )
    first = {word.word for word in resumed.times[silent[0].id]}
    assert first == set(silent[0].text.split())
