"""Beginning from a trained model: the right weights, what stays and what moves, and what the result carries."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from gunileo.corpus.cache import Cache
from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.inference.confidence import Calibration
from gunileo.inference.load import load_model
from gunileo.inference.registry import ModelError, ModelInfo
from gunileo.training.config import TrainingConfig
from gunileo.training.export import describe_calibration, export_onnx, rounded
from gunileo.training.fine_tune import settings_from, teaching
from gunileo.training.initialise import initialise
from gunileo.training.lightning_module import Training
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.training.sampling import balanced
from gunileo.training.train import train
from gunileo.training.weights import load_weights, save_model

ARCHITECTURE = ModelConfig(channels=(2, 2, 3), hidden=8, normalise=True, words=("bin", "blue"))
LETTER = 3  # a class
CALIBRATIONS = {how: Calibration((1.0, -1.0, -1.0), (0.1, 0.9, 0.2), (0.3, 0.8, 0.1), -2.0, 33) for how in ("greedy",)}
UNDECIDED = Calibration((0.0, 0.0, 0.0), (0.1, 0.9, 0.2), (0.3, 0.8, 0.1), 0.0, 33)  # every clip's score is 0
NEVER_SURE, ALWAYS_SURE = (
    dict.fromkeys(("greedy", "grammar"), replace(UNDECIDED, threshold=threshold)) for threshold in (1.0, -1.0)
)
QUICK = {"epochs": 1, "batch_size": 2, "precision": "32-true", "workers": 0, "device": "cpu"}


@pytest.fixture
def network() -> LabialCNN:
    """One that spells a letter in every frame, as one that spells nothing ends a run."""
    torch.manual_seed(0)
    network = LabialCNN(ARCHITECTURE).eval()
    network.classes.bias.data[LETTER] = 20
    return network


@pytest.fixture
def shelf(network: LabialCNN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder as the package ships it, with one calibrated model called ``tiny``."""
    folder = tmp_path / "weights"
    folder.mkdir()
    onnx, weights = folder / "tiny.onnx", folder / "tiny.safetensors"
    export_onnx(network, onnx)
    describe_calibration(onnx, CALIBRATIONS)
    save_model(rounded(network), weights, half=True)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (onnx, weights)}
    info = ModelInfo("tiny", onnx.name, weights.name, sums, {}, 1, 1.0, 1.0, 1.0, 1.0, 1.0, "", "", "", "")
    (folder / "models.json").write_text(json.dumps([asdict(info)]))
    monkeypatch.setattr(registry, "WEIGHTS", folder)
    return folder


def adapt(cache_folder: Path, run: Path, settings: TrainingConfig) -> Path:
    cache = Cache(cache_folder)
    return train(cache, cache.utterances[:4], cache.utterances[4:], run, settings)


def differing(a: LabialCNN, b: LabialCNN) -> set[str]:
    """The first part of the names of weights that differ."""
    other = b.state_dict()
    return {name.split(".")[0] for name, value in a.state_dict().items() if not torch.equal(value, other[name])}


def test_a_shipped_models_layout_and_an_adaptations_settings(shelf: Path) -> None:
    settings = settings_from("tiny")
    assert settings.init == str(shelf / "tiny.safetensors")
    assert (settings.channels, settings.normalise) == ((2, 2, 3), False)
    assert settings.frozen
    assert settings.keep_last, "one or two validation clips can't choose an epoch"
    assert settings.epochs < TrainingConfig().epochs
    assert settings.augmentation.concatenation == 0
    assert settings_from("tiny", clips=5).samples == 5 * 6 < settings.samples
    assert settings.fallback, "or the speaker of before is forgotten"
    assert not teaching("tiny", recordings=5).fallback, "nobody else is to be read"


def test_a_known_speakers_clips_beside_the_new_ones_let_more_be_learnt() -> None:
    alone, several = (settings_from("labial-wide", speakers) for speakers in (1, 2))
    assert (alone.epochs, alone.samples, alone.learning_rate, alone.pseudo_align_from) == (10, 60, 5e-4, 0)
    assert (several.epochs, several.samples, several.learning_rate, several.pseudo_align_from) == (12, 100, 1e-3, 5)


def test_a_network_of_many_faces_learns_a_face_in_its_first_layers_alone() -> None:
    settings = settings_from("labial-shape")
    assert (settings.inputs_alone, settings.frozen, settings.fallback) == (True, True, False)
    assert settings_from("labial-shape", speakers=2) == settings, "it needs no clips of a face that it knows"
    other = settings_from("labial-shape", sentences=False)
    assert (other.inputs_alone, other.frozen) == (False, False), "its later layers know no other sentences"
    assert teaching("labial-shape", recordings=20, sentences=True) == replace(settings, workers=0)
    assert not teaching("labial-shape", recordings=20).inputs_alone
    assert not settings_from("labial-wide").inputs_alone


def test_a_changed_first_model_is_told_before_any_training(shelf: Path) -> None:
    (shelf / "tiny.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"tiny\.onnx: checksum .* reinstall gunileo$"):
        settings_from("tiny")


def test_a_cheap_layout_learns_with_all_its_weights() -> None:
    settings = settings_from("labial-wide")
    assert settings.self_conditioning
    assert not settings.frozen
    assert settings.word_weight > 0
    assert settings.augmentation.concatenation > 0


def test_a_runs_layout_and_any_runs_settings(network: LabialCNN, shelf: Path, tmp_path: Path) -> None:
    save_model(network, tmp_path / "model.safetensors")
    settings = settings_from(tmp_path)
    begun = {"init": str(tmp_path / "model.safetensors"), "channels": (2, 2, 3)}
    assert settings == TrainingConfig(**begun)


def test_every_layout_is_gone_on_with(tmp_path: Path) -> None:
    wide = LabialCNN(replace(ARCHITECTURE, shrink=2, self_conditioning=True))
    save_model(wide, tmp_path / "model.safetensors")
    settings = settings_from(tmp_path)
    assert (settings.shrink, settings.self_conditioning) == (2, True)


def test_a_changed_file_is_not_begun_from(shelf: Path) -> None:
    content = bytearray((shelf / "tiny.safetensors").read_bytes())
    content[-5] ^= 1  # one bit of one weight: still a valid file
    (shelf / "tiny.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"tiny\.safetensors: checksum .* reinstall gunileo$"):
        settings_from("tiny")


@pytest.mark.parametrize("name", registry.names().split(", "))
def test_shipped_models_can_be_begun_from(name: str, synthetic_cache: Path, tmp_path: Path) -> None:
    cache = Cache(synthetic_cache)
    fit = Training(cache, cache.utterances[:4], cache.utterances[4:], tmp_path, settings_from(name))
    shipped = load_weights(settings_from(name).init)
    assert differing(shipped, fit.model) == set()


@pytest.mark.parametrize("name", ["tinny", "", "weights/tiny.onnx"])
def test_a_wrong_name_is_told(name: str, shelf: Path) -> None:
    with pytest.raises(ModelError, match=r"no weights there; give a shipped one's name \(tiny\) or a finished run"):
        settings_from(shelf.parent / name if name else shelf.parent)


def test_weights_of_something_else(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(GunileoError, match=r"model\.safetensors: no LabialCNN weights"):
        settings_from(tmp_path)


def test_another_architecture_than_the_settings(network: LabialCNN, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(network, path)
    for other in ({"channels": (2, 2, 4)}, {"normalise": False}):
        with pytest.raises(GunileoError, match=r"model\.safetensors: its architecture is not that of"):
            initialise(str(path), replace(ARCHITECTURE, **other))
    other = replace(ARCHITECTURE, dropout=0.1)
    assert initialise(str(path), replace(other, hidden=256)).config == other


def test_the_same_words_keep_their_head_and_others_get_a_new_one(network: LabialCNN, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(network, path)
    assert differing(initialise(str(path), ARCHITECTURE), network) == set()
    other = initialise(str(path), replace(ARCHITECTURE, words=("bin", "green", "red")))
    assert other.words is not None
    assert other.words.out_features == 4
    other.words = network.words
    assert differing(other, network) == set(), "all but the head is taken over"
    save_model(network.fold(), path)
    fresh = initialise(str(path), replace(ARCHITECTURE, normalise=False))
    assert fresh.words is not None, "a shipped model has none"


def test_words_that_are_fed_back_are_kept_if_they_can_be(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, path = (
        LabialCNN(replace(ARCHITECTURE, shrink=2, self_conditioning=True)).eval(),
        tmp_path / "model.safetensors",
    )
    save_model(network, path)
    for words in (("bin", "blue"), ("blue",), ()):
        assert differing(initialise(str(path), replace(network.config, words=words)), network) == set()
    other = initialise(str(path), replace(network.config, words=("bin", "green", "red")))
    assert other.words is not None
    assert other.words.out_features == 4
    fresh, before = other.second.weight_ih_l0, network.second.weight_ih_l0
    assert torch.equal(fresh[:, :16], before[:, :16]), "the weights of the first GRU stay"
    assert fresh.shape[1] == 16 + 4


def test_clips_without_word_times_cant_teach_a_layout_that_names_words(synthetic_cache: Path, tmp_path: Path) -> None:
    cache = Cache(synthetic_cache)
    silent = [replace(clip, words=()) for clip in cache.utterances]
    with pytest.raises(GunileoError, match="--architecture labial"):
        train(cache, silent[:4], silent[4:], tmp_path / "run", replace(TrainingConfig(self_conditioning=True), **QUICK))
    assert not (tmp_path / "run").exists()


def test_adapting_moves_what_is_not_frozen_and_keeps_the_last_epoch(
    shelf: Path, synthetic_cache: Path, tmp_path: Path
) -> None:
    settings = replace(settings_from("tiny"), **QUICK | {"epochs": 2}, samples=4)
    adapted = load_weights(adapt(synthetic_cache, tmp_path / "run", settings))
    assert differing(adapted, load_weights(shelf / "tiny.safetensors")) == {"gru", "classes"}
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 1
    weights = {name.removeprefix("model."): value for name, value in last["state_dict"].items()}
    for name, value in adapted.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_frozen_normalisation_keeps_its_means(network: LabialCNN, synthetic_cache: Path, tmp_path: Path) -> None:
    save_model(network, tmp_path / "model.safetensors")
    for frozen in (True, False):
        settings = replace(settings_from(tmp_path), **QUICK, frozen=frozen)
        adapted = load_weights(adapt(synthetic_cache, tmp_path / f"run{frozen}", settings))
        adapted.words = network.words
        assert ("convolutions" in differing(adapted, network)) != frozen


def test_the_first_model_reads_on_beside_the_new_one(shelf: Path, synthetic_cache: Path, tmp_path: Path) -> None:
    run, alone = tmp_path / "run", tmp_path / "alone"
    settings = replace(settings_from("tiny"), **QUICK, samples=4)
    adapt(synthetic_cache, run, settings)
    assert (run / "fallback.onnx").read_bytes() == (shelf / "tiny.onnx").read_bytes()
    for name in (run, run / "model.onnx"):
        reader = load_model(name)
        assert reader.fallback is not None
        assert (reader.fallback.checksum, reader.fallback.calibrations) == (load_model("tiny").checksum, CALIBRATIONS)
    adapt(synthetic_cache, alone, replace(settings, fallback=False))
    assert load_model(alone).fallback is None


def test_other_sentences_are_not_left_to_the_first_model(shelf: Path, synthetic_cache: Path, tmp_path: Path) -> None:
    cache = Cache(synthetic_cache)
    said = [replace(utterance, text="lights on", words=()) for utterance in cache.utterances]
    settings = replace(settings_from("tiny"), **QUICK, samples=4)
    train(cache, said[:4], said[4:], tmp_path / "run", settings)
    assert load_model(tmp_path / "run").fallback is None


@pytest.mark.parametrize("how", ["greedy", "grammar"])
def test_a_clip_is_read_by_the_first_model_where_it_is_sure(
    network: LabialCNN, synthetic_cache: Path, tmp_path: Path, how: Literal["greedy", "grammar"]
) -> None:
    cache = Cache(synthetic_cache)
    clip = cache.load(cache.utterances[0])
    readers = []
    for name, letter in (("first", LETTER), ("new", LETTER + 1)):
        network.classes.bias.data[LETTER : LETTER + 2] = 0
        network.classes.bias.data[letter] = 20
        export_onnx(network, tmp_path / f"{name}.onnx")
        readers.append(load_model(tmp_path / f"{name}.onnx"))
    first, new = readers
    for calibrations, reads in ((ALWAYS_SURE, first), (NEVER_SURE, new)):
        both = replace(new, fallback=replace(first, calibrations=calibrations))
        assert both.best_prediction(clip, how).reader.checksum == reads.checksum
        assert both.read(clip, how).text == reads.read(clip, how).text
        assert both.transcribe_clip(clip, "clip", how).text == reads.read(clip, how).text


def test_too_few_clips_for_a_calibration_keep_the_shipped_ones(
    shelf: Path, synthetic_cache: Path, tmp_path: Path
) -> None:
    adapt(synthetic_cache, tmp_path / "run", replace(settings_from("tiny"), **QUICK, samples=4))
    assert load_model(tmp_path / "run").calibrations == CALIBRATIONS


def test_a_speaker_with_more_clips_is_drawn_somewhat_more(synthetic_cache: Path) -> None:
    clips = Cache(synthetic_cache).utterances
    one, two = ([clip for clip in clips if clip.speaker == speaker] for speaker in ("s1", "s2"))
    many = [replace(clip, id=f"{clip.id}{copy}") for copy in range(10) for clip in one]
    drawn = balanced([*many, *two[:1]], 10, np.random.default_rng(0))
    often = Counter(clip.speaker for clip in drawn)
    assert often == {"s1": round(10 * len(many) ** 0.3), "s2": 10}
    assert often["s1"] > 20
    alone = balanced(one, len(one) + 1, np.random.default_rng(0))
    assert sorted(Counter(clip.id for clip in alone).values()) == [*[1] * (len(one) - 1), 2], "all before one again"


def test_an_epoch_has_its_samples_all_as_hard_as_they_get(shelf: Path, synthetic_cache: Path, tmp_path: Path) -> None:
    clips = Cache(synthetic_cache).utterances
    settings = replace(settings_from("tiny"), samples=50)
    fit = Training(Cache(synthetic_cache), clips[2:4], clips[:2], tmp_path, settings)
    first, second = fit.clips(0), fit.clips(1)
    assert len(first) == len(second) == 100
    assert first.draws.augmentation == settings.augmentation
    assert len(first.draws.spans) / 100 == pytest.approx(settings.spans_at_end, abs=0.15)
    assert first.draws.spans != second.draws.spans


def test_the_command_adapts(run, shelf: Path, synthetic_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = ("train", synthetic_cache, "-o", folder, "--device", "cpu", "--epochs", 1, "--speakers", "s2")
    code, out, err = run(*arguments, "--init", "tinny")
    assert (code, len(err.splitlines())) == (1, 1), err
    assert "tinny: no weights there" in err
    assert not folder.exists()
    code, out, err = run(*arguments, "--init", "tiny")
    assert code == 0, err
    assert "2 clips to train on, 1 to validate on" in out
    assert "the last epoch's model, with tiny as its fallback" in out
    begun, settings = settings_from("tiny"), json.loads((folder / "settings.json").read_text())
    assert (settings["epochs"], settings["frozen"], settings["fallback"]) == (1, True, True)
    assert settings["learning_rate"] == begun.learning_rate, "not the default of a run from nothing"
    assert settings["samples"] == 2 * 6 < begun.samples, "two clips are seen six times each"
    both = ("train", synthetic_cache, "-o", tmp_path / "both", "--device", "cpu", "--epochs", 1)
    code, out, err = run(*both, "--init", "tiny")
    assert code == 0, err
    assert re.search("^clips of each speaker to train on: s1 [23], s2 [23]$", out, re.MULTILINE)
    settings = json.loads((tmp_path / "both" / "settings.json").read_text())
    assert settings["learning_rate"] == settings_from("tiny", speakers=2).learning_rate != begun.learning_rate
