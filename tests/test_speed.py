"""The benchmark of speed measures what it names. The figures themselves are the machine's."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import clips
import pytest


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a hundredth of the clips."""
    pytest.importorskip("lightning", reason='needs the extra "train"')
    folder = Path(__file__).parents[1] / "benchmarks"
    spec = importlib.util.spec_from_file_location("speed", folder / "speed.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "speed", script)  # so that another process finds its functions
    monkeypatch.syspath_prepend(folder)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "UTTERANCES", 50)
    monkeypatch.setattr(script, "BATCHES", 1)
    return script


def test_prepared_clips_are_resumed_and_made_a_data_set(
    speed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(one > 0 for one in speed.resuming(clips.good(tmp_path / "clip.mp4", 30), tmp_path / "cache").values)
    assert len(list((tmp_path / "cache" / "s1").glob("*.png"))) == 50
    monkeypatch.setattr(speed, "UTTERANCES", 130)  # the data set is asked for 128
    assert all(one > 0 for one in speed.building(tmp_path).values)


def test_training_is_compared_with_a_plain_loop(speed: ModuleType, tmp_path: Path) -> None:
    faster, waiting = speed.training(tmp_path)
    assert faster.measurement.median > 0
    assert 0 <= waiting.measurement.median <= 100
