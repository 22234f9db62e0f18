from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from short_runs import rows, trained

from gunileo.corpus.cache import Cache
from gunileo.corpus.grid import BLANK
from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.training.config import TrainingConfig, loaders
from gunileo.training.history import record
from gunileo.training.lightning_module import Training
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.training.train import train
from gunileo.training.weights import load_weights
from gunileo.vision.crop import normalise

TINY = TrainingConfig(epochs=2, batch_size=2, channels=(2, 2, 2), precision="32-true", workers=0, device="cpu")


def run(cache_folder: Path, folder: Path, settings: TrainingConfig = TINY, resume: bool = False) -> Path:
    cache = Cache(cache_folder)
    return trained(cache, cache.utterances[:4], cache.utterances[4:], folder, settings, resume) / "model.safetensors"


@pytest.fixture(scope="module")
def finished(synthetic_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs."""
    return run(synthetic_cache, tmp_path_factory.mktemp("runs") / "tiny").parent


def test_a_run_leaves_its_model_logs_and_curve(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {
        *("settings.json", "clips.json", "metrics.csv", "curve.png", "tensorboard", "last.ckpt", "best.ckpt"),
        *("model.safetensors", "model.onnx"),
    }
    assert json.loads((finished / "settings.json").read_text())["epochs"] == 2
    assert (finished / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert any((finished / "tensorboard").iterdir())
    assert [row["epoch"] for row in rows(finished)] == [1, 2]


def test_losses_are_positive_and_fall(finished: Path) -> None:
    first, second = rows(finished)
    assert all(row[name] > 0 for row in (first, second) for name in ("train_loss", "val_loss"))
    assert second["val_loss"] < first["val_loss"]


def test_onnx_and_weights_are_the_same_network(finished: Path, synthetic_cache: Path) -> None:
    cache = Cache(synthetic_cache)
    clip = cache.load(cache.utterances[0])
    read = load_model(finished).log_probabilities(clip)
    with torch.inference_mode():
        expected = load_weights(finished / "model.safetensors")(torch.from_numpy(normalise(clip.crops))[None]).numpy()
    assert np.abs(read - expected).max() < 1e-2, "weights are rounded to float16 in the ONNX file"


def test_another_run_is_not_overwritten(finished: Path, synthetic_cache: Path) -> None:
    before = (finished / "metrics.csv").read_bytes()
    with pytest.raises(GunileoError, match="--resume"):
        run(synthetic_cache, finished)
    with pytest.raises(GunileoError, match="other settings"):
        run(synthetic_cache, finished, replace(TINY, epochs=3), resume=True)
    cache = Cache(synthetic_cache)
    with pytest.raises(GunileoError, match="other clips"):
        train(cache, cache.utterances[:5], cache.utterances[5:], finished, TINY, resume=True)
    assert (finished / "metrics.csv").read_bytes() == before


def test_a_seed_gives_the_same_figures_twice(finished: Path, synthetic_cache: Path, tmp_path: Path) -> None:
    run(synthetic_cache, tmp_path / "again")
    assert rows(tmp_path / "again") == rows(finished)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_resumes_with_the_same_figures(
    end: signal.Signals, finished: Path, synthetic_cache: Path, tmp_path: Path
) -> None:
    script = f"""
import os
from pathlib import Path
import gunileo.training.lightning_module as module
from gunileo.corpus.cache import Cache
from gunileo.training.train import train
report = module._report
def ended_after_one(row, *rest):
    if row["epoch"] == 2:
        os.kill(os.getpid(), {int(end)})
    report(row, *rest)
module._report = ended_after_one
cache = Cache({str(synthetic_cache)!r})
small = {{"batch_size": 2, "channels": (2, 2, 2), "precision": "32-true", "workers": 0, "device": "cpu"}}
settings = module.TrainingConfig(epochs=2, **small)
train(cache, cache.utterances[:4], cache.utterances[4:], Path({str(tmp_path / "run")!r}), settings)
"""
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ}, capture_output=True, check=False)
    if end == signal.SIGKILL:
        assert done.returncode == -end, done.stderr.decode()
    else:
        assert b"stopped; go on with --resume" in done.stderr
    assert [row["epoch"] for row in rows(tmp_path / "run")] == [1]
    run(synthetic_cache, tmp_path / "run", resume=True)
    for row, expected in zip(rows(tmp_path / "run"), rows(finished), strict=True):
        assert row == pytest.approx(expected, abs=1e-6)


def test_a_loss_that_is_no_number_stops_the_run(synthetic_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(GunileoError, match=r"loss became (nan|inf).*--learning-rate"):
        run(synthetic_cache, tmp_path / "run", replace(TINY, learning_rate=float("inf")))


def test_a_run_that_stays_blank_says_so(synthetic_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blank(LabialCNN):
        """Begins where runs get stuck, and with no learning rate stays there."""

        def __init__(self, config: ModelConfig | None = None) -> None:
            super().__init__(config)
            self.classes.bias.data[BLANK] = 50

    monkeypatch.setattr("gunileo.training.initialise.LabialCNN", Blank)
    cache = Cache(synthetic_cache)
    settings = replace(TINY, learning_rate=1e-12)
    with pytest.raises(GunileoError, match="still blank"):
        train(cache, cache.utterances[:4], cache.utterances[4:], tmp_path / "run", settings)
    assert (tmp_path / "run" / "model.safetensors").exists(), "nothing is lost"
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 1, "the last epoch is kept though it is no better than the first"


def test_nothing_to_validate_on_is_said(synthetic_cache: Path, tmp_path: Path) -> None:
    cache = Cache(synthetic_cache)
    short = [replace(cache.utterances[0], frames=10)]
    with pytest.raises(GunileoError, match="no clips"):
        train(cache, cache.utterances, short, tmp_path / "run", TINY)
    assert not (tmp_path / "run").exists(), "the next try finds the place free"


def test_the_curriculum_goes_from_words_to_sentences(synthetic_cache: Path, tmp_path: Path) -> None:
    cache = Cache(synthetic_cache)
    settings = replace(TINY, epochs=10, spans_at_end=0.2)
    fit = Training(cache, cache.utterances * 200, cache.utterances, tmp_path, settings)
    shares = [len(fit.clips(epoch).draws.spans) / len(fit.clips(epoch)) for epoch in range(10)]
    assert shares[0] == 1
    assert shares[5:] == pytest.approx([0.2] * 5, abs=0.05)
    assert all(a >= b - 0.05 for a, b in pairwise(shares))
    fit = Training(cache, cache.utterances * 200, cache.utterances, tmp_path, replace(settings, curriculum=0))
    assert len(fit.clips(0).draws.spans) / len(fit.clips(0)) == pytest.approx(0.2, abs=0.05)
    assert fit.clips(0).draws.augmentation == settings.augmentation


def test_a_layout_with_feedback_names_the_clips_words(synthetic_cache: Path, tmp_path: Path) -> None:
    settings = replace(TINY, epochs=1, shrink=2, self_conditioning=True)
    trained = load_weights(run(synthetic_cache, tmp_path / "run", settings))
    cache = Cache(synthetic_cache)
    assert trained.config.words == tuple(sorted({word.word for clip in cache.utterances for word in clip.words}))
    assert (trained.config.shrink, trained.config.self_conditioning) == (2, True)


def test_a_run_begins_from_another(finished: Path, synthetic_cache: Path, tmp_path: Path) -> None:
    settings = replace(TINY, epochs=1, learning_rate=1e-12, init=str(finished / "model.safetensors"))
    begun = load_weights(run(synthetic_cache, tmp_path / "run", settings)).state_dict()
    weights = load_weights(finished / "model.safetensors").state_dict()
    assert all(
        torch.allclose(begun[name], weights[name]) for name in weights if "running" not in name and "num" not in name
    )
    with pytest.raises(GunileoError, match="its architecture is not that of"):
        run(synthetic_cache, tmp_path / "other", replace(settings, channels=(2, 2, 3)))


def test_rows_after_a_resumed_epoch_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    for epoch in (1, 2, 3):
        record(path, {"epoch": epoch, "val_wer": 1.0})
    kept = record(path, {"epoch": 2, "val_wer": 0.5})
    assert [(row["epoch"], row["val_wer"]) for row in kept] == [(1, 1.0), (2, 0.5)]
    assert rows(tmp_path) == kept


@pytest.mark.parametrize(
    ("device", "cores", "trainers", "expected"),
    [("cpu", 1, 1, 1), ("cpu", 2, 1, 1), ("cpu", 16, 1, 4), ("cuda", 2, 1, 1), ("cuda", 16, 1, 15), ("cuda", 9, 4, 1)],
)
def test_loaders_follow_the_cores_and_the_device(device: str, cores: int, trainers: int, expected: int) -> None:
    assert loaders(device, cores, trainers) == expected
