"""Training by two processes: the figures of one with the same batches, and each thing written once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from short_runs import rows

from gunileo.training.parallel import own_batches
from gunileo.training.weights import load_weights

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from gunileo.training.augmentation import Augmentation
from gunileo.errors import GunileoError
from gunileo.corpus.cache import Cache
from gunileo.training.config import TrainingConfig
from gunileo.training.train import train
cache = Cache(sys.argv[1])
mixed = [replace(clip, words=()) if number == 1 else clip for number, clip in enumerate(cache.utterances)]
settings = TrainingConfig(epochs=2, batch_size=3, channels=(2, 2, 2), precision="32-true", workers=0, device="cpu",
                    dropout=0.0, feature_dropout=0.0, learning_rate=1e-4)
try:
    train(cache, mixed[:4], mixed[4:5], Path(sys.argv[2]), settings, resume=len(sys.argv) > 3)
except GunileoError as error:
    if "still blank" not in str(error):
        raise
"""


def trained(cache: Path, run: Path, processes: int) -> None:
    script = run.parent / "script.py"
    script.write_text(SCRIPT)
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "29517"]
    command = [sys.executable, *(launch if processes > 1 else []), str(script), str(cache), str(run)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1/2  loss") == 1, "told once"


def test_two_processes_train_as_one_does(synthetic_cache: Path, tmp_path: Path) -> None:
    """Three clips a batch, so shares are unequal, one batch of a single clip, a clip without words' times."""
    trained(synthetic_cache, tmp_path / "one", 1)
    trained(synthetic_cache, tmp_path / "two", 2)
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert len(one) == len(two) == 2
    for expected, row in zip(one, two, strict=True):
        assert row == pytest.approx(expected, rel=1e-5)
    expected, weights = (load_weights(tmp_path / name / "model.safetensors").state_dict() for name in ("one", "two"))
    furthest = max(float((weights[name].float() - value.float()).abs().max()) for name, value in expected.items())
    assert furthest < 1e-3
    assert json.loads((tmp_path / "two" / "settings.json").read_text())["batch_size"] == 3
    assert {path.name for path in (tmp_path / "two").iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}


def test_batches_of_one_process_are_all_in_order() -> None:
    assert not torch.distributed.is_initialized()
    assert list(own_batches([[0, 1], [2, 3], [4]]).items()) == [(0, [0, 1]), (1, [2, 3]), (2, [4])]
