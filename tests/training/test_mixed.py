"""Training on a cache half of crops and half of shapes alone, from Python and by the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from geometry import archive
from short_runs import rows, trained

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.geometry import add_speaker
from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.training.config import TrainingConfig
from gunileo.training.dataset import Shapes
from gunileo.training.export import rounded
from gunileo.training.lightning_module import Training
from gunileo.training.sampling import evened, silences
from gunileo.training.shape_model import LabialShape
from gunileo.training.train import train
from gunileo.training.weights import load_weights
from gunileo.vision.crop import normalise

Run = Callable[..., tuple[int, str, str]]
SMALL = TrainingConfig(
    shapes=True,
    epochs=3,
    batch_size=2,
    shape_batch=3,
    channels=(2, 2, 2),
    shrink=2,
    dropout=0.1,
    self_conditioning=True,
    curriculum=0.0,
    learning_rate=3e-3,
    precision="32-true",
    workers=0,
    device="cpu",
    keep_last=True,
)


@pytest.fixture(scope="module")
def mixed(synthetic_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips with crops, of s1 and s2, and four shapes alone, of s7; not to be written to."""
    folder = tmp_path_factory.mktemp("mixed")
    cache = Path(shutil.copytree(synthetic_cache, folder / "cache"))
    assert add_speaker(archive(folder / "s7.npz", ["bbaf2n", "lwws9a", "pgiozs", "srah4p"]), cache) == (4, 0, 0)
    return cache


def parts(cache: Cache) -> tuple[list[CachedUtterance], list[CachedUtterance]]:
    """One of each kind to validate on, the others to train on."""
    held = {"s1/bbaf2n", "s7/bbaf2n"}
    return (
        [one for one in cache.utterances if one.id not in held],
        [one for one in cache.utterances if one.id in held],
    )


@pytest.fixture(scope="module")
def finished(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(Cache(mixed), *parts(Cache(mixed)), tmp_path_factory.mktemp("runs") / "small", SMALL)


def test_a_mixed_cache_is_learnt_from(finished: Path, mixed: Path) -> None:
    found = rows(finished)
    assert [row["epoch"] for row in found] == [1, 2, 3]
    assert all(np.isfinite(list(row.values())).all() for row in found)
    assert found[-1]["train_loss"] < found[0]["train_loss"]
    trained = load_weights(finished / "model.safetensors")
    assert isinstance(trained, LabialShape)
    cache = Cache(mixed)
    training, _ = parts(cache)
    assert trained.config.words == tuple(sorted({word.word for one in training for word in one.words}))
    assert json.loads((finished / "clips.json").read_text())["training"] == [one.id for one in training]


def test_the_run_is_read_with_and_equals_its_weights(finished: Path, mixed: Path) -> None:
    reader, cache = load_model(finished), Cache(mixed)
    assert reader.shapes
    clip = cache.load(next(one for one in cache.utterances if one.has_crops))
    crops = torch.from_numpy(normalise(clip.crops))[None, None]
    with torch.inference_mode():
        weights = rounded(load_weights(finished / "model.safetensors"))
        assert isinstance(weights, LabialShape)
        expected = weights.views(weights.visual(crops), torch.from_numpy(clip.shape())[None]).log_probabilities
    np.testing.assert_allclose(reader.log_probabilities(clip), expected[0].numpy(), atol=1e-3)


def test_a_seed_gives_the_same_curve_and_another_another(finished: Path, mixed: Path, tmp_path: Path) -> None:
    cache = Cache(mixed)
    assert rows(trained(cache, *parts(cache), tmp_path / "again", SMALL)) == rows(finished)
    trained(cache, *parts(cache), tmp_path / "other", replace(SMALL, epochs=1, seed=1))
    assert rows(tmp_path / "other")[0]["train_loss"] != rows(finished)[0]["train_loss"]


def test_shapes_alone_are_enough(mixed: Path, tmp_path: Path) -> None:
    cache = Cache(mixed)
    alone = [one for one in cache.utterances if not one.has_crops]
    trained(cache, alone[:3], alone[3:], tmp_path / "run", replace(SMALL, epochs=1))
    assert isinstance(load_weights(tmp_path / "run" / "model.safetensors"), LabialShape)


def test_an_architecture_of_crops_leaves_shapes_out(mixed: Path, tmp_path: Path) -> None:
    cache = Cache(mixed)
    training, validation = parts(cache)
    settings = replace(SMALL, shapes=False, self_conditioning=False, epochs=1)
    trained(cache, training, validation, tmp_path / "run", settings)
    clips = json.loads((tmp_path / "run" / "clips.json").read_text())
    assert {name.split("/")[0] for name in [*clips["training"], *clips["validation"]]} == {"s1", "s2"}
    shapes = [one for one in training if not one.has_crops]
    with pytest.raises(GunileoError, match="no clips to train or to validate on"):
        train(cache, shapes, validation, tmp_path / "none", settings)


def test_some_of_the_clips_with_crops_are_given_as_shapes_alone(mixed: Path, tmp_path: Path) -> None:
    cache = Cache(mixed)
    with_crops = [one for one in cache.utterances if one.has_crops]
    fit = Training(cache, with_crops * 100, with_crops, tmp_path, replace(SMALL, shapes_alone=0.3))
    first, second = fit.clips(0), fit.clips(1)
    assert len(first.draws.shapes) / len(first) == pytest.approx(0.3, abs=0.06)
    assert first.draws.shapes != second.draws.shapes
    assert first.draws.shapes == fit.clips(0).draws.shapes
    assert not Training(cache, with_crops, with_crops, tmp_path, replace(SMALL, shapes_alone=0)).clips(0).draws.shapes


def test_an_epoch_has_each_shape_once_and_speakers_with_crops_evened_out(mixed: Path, tmp_path: Path) -> None:
    cache = Cache(mixed)
    crops, shapes = ([one for one in cache.utterances if one.has_crops == kind] for kind in (True, False))
    few = [one for one in crops if one.speaker == "s1"] * 8 + [one for one in crops if one.speaker == "s2"][:1]
    fit = Training(cache, [*few, *shapes], crops, tmp_path, replace(SMALL, crop_repeats=2))
    part = fit.clips(0).utterances
    assert [one.id for one in part if not one.has_crops] == [one.id for one in shapes]
    assert {one.speaker for one in part if one.has_crops} == {"s1", "s2"}
    assert sum(one.speaker == "s2" for one in part) > 1
    drawn = evened(few, np.random.default_rng(0))
    assert sum(one.speaker == "s1" for one in drawn) >= sum(one.speaker == "s2" for one in drawn)


def test_silence_is_learnt_from_clips_that_are_known_to_their_ends(mixed: Path) -> None:
    cache = Cache(mixed)
    found = silences(Shapes(cache), cache.utterances)
    with_crops = sum(one.has_crops for one in cache.utterances)
    assert 0 < len(found.before) <= with_crops
    assert 0 < len(found.after) <= with_crops
    shapes = [one for one in cache.utterances if not one.has_crops]
    alone = silences(Shapes(cache), shapes)
    assert not alone.before + alone.after


def test_what_is_read_or_shown_is_what_has_crops(run: Run, mixed: Path, model: str, tmp_path: Path) -> None:
    code, out, err = run("evaluate", mixed, "--model", model, "--json", tmp_path / "e.json")
    assert (code, out.splitlines()[0]) == (0, "4 clips are left out, as they have only the mouth's shape"), err
    assert {one["speaker"] for one in json.loads((tmp_path / "e.json").read_text())["clips"]} == {"s1", "s2"}
    code, out, _ = run("sheet", mixed, "-o", tmp_path / "sheet.png")
    assert (code, out) == (0, f"{tmp_path / 'sheet.png'}: 6 of 6 clips\n")
    add_speaker(archive(tmp_path / "s7.npz", ["bbaf2n"]), tmp_path / "shapes")
    for command in (("evaluate", tmp_path / "shapes"), ("sheet", tmp_path / "shapes", "-o", tmp_path / "none.png")):
        code, _, err = run(*command)
        assert (code, err) == (
            1,
            f"{tmp_path / 'shapes'}: holds only mouth shapes and no crops; prepare videos into it\n",
        )
    assert not (tmp_path / "none.png").exists()


def train_line(cache: Path, output: Path, *more: object) -> tuple[object, ...]:
    few = ("--epochs", 1, "--batch-size", 4, "--device", "cpu")
    return "train", cache, "-o", output, *few, *more


def test_the_command_line_says_of_how_many_clips_only_the_shape_is_known(run: Run, mixed: Path, tmp_path: Path) -> None:
    code, out, err = run(*train_line(mixed, tmp_path / "run", "--architecture", "labial-shape", "--speakers", "s1,s7"))
    assert code in (0, 1), err
    if code:
        assert "still blank" in err
    training = json.loads((tmp_path / "run" / "clips.json").read_text())["training"]
    shapes = sum(name.startswith("s7/") for name in training)
    assert 0 < shapes < len(training)
    lines = out.splitlines()
    assert lines[0].startswith(f"{len(training)} clips to train on, ")
    assert lines[1] == f"{shapes} of the clips to train on have only the mouth's shape"
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["shapes"] is True


def test_the_command_line_says_how_many_clips_an_architecture_of_crops_leaves_out(
    run: Run, mixed: Path, tmp_path: Path
) -> None:
    (tmp_path / "held.txt").write_text("s1/bbaf2n\ns7/bbaf2n\n")
    line = train_line(mixed, tmp_path / "run", "--architecture", "labial", "--split", tmp_path / "held.txt")
    _, out, _ = run(*line)
    used = json.loads((tmp_path / "run" / "clips.json").read_text())["training"]
    assert used
    assert not any(name.startswith("s7/") for name in used)
    assert out.splitlines()[1] == "3 clips are left out: they have no crops, and this architecture needs them"


def test_a_cache_without_shapes_alone_says_nothing_of_them(run: Run, synthetic_cache: Path, tmp_path: Path) -> None:
    _, out, _ = run(*train_line(synthetic_cache, tmp_path / "run", "--architecture", "labial"))
    assert "only the mouth's shape" not in out
    assert "no crops" not in out


@pytest.mark.parametrize("command", ["train", "evaluate", "sheet", "prepare"])
def test_an_older_cache_says_to_prepare_again(
    run: Run, synthetic_cache: Path, synthetic_corpus: Path, tmp_path: Path, command: str
) -> None:
    cache = Path(shutil.copytree(synthetic_cache, tmp_path / "cache"))
    (cache / "cache.json").write_text('{"version": 1, "fps": 25, "height": 100, "width": 150}\n')
    line: tuple[object, ...] = {
        "train": train_line(cache, tmp_path / "new"),
        "evaluate": ("evaluate", cache),
        "sheet": ("sheet", cache, "-o", tmp_path / "new"),
        "prepare": ("prepare", synthetic_corpus, "-o", cache),
    }[command]
    code, _, err = run(*line)
    assert code == 1
    (told,) = err.splitlines()
    assert told.startswith(f"{cache} is a cache of another version ({{'version': 1")
    assert told.endswith("prepare the corpus again into a new folder")
    assert not (tmp_path / "new").exists()
