"""The measurements of ``gunileo bench``: there for any clip, with what comes of a clip that can't be read."""

import sys
from pathlib import Path

import clips
import pytest

from gunileo.inference.bench import Measurement


def test_a_figure_is_its_median() -> None:
    measurement = Measurement("read", "ms", [3.0, 1.0, 200.0])
    assert (measurement.median, measurement.range) == (3.0, "1-200")


def test_each_figure_is_printed_with_its_unit(
    run, model: str, synthetic_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gunileo.inference.bench.REPEATS", 1)
    code, out, err = run("bench", "--clip", synthetic_corpus / "s1" / "bbaf2n.mp4", "--model", model)
    assert (code, err) == (0, "")
    units = [line[39:51].strip() for line in out.splitlines()]
    assert units == ["GFLOP/s", "x real time", "ms", "clips/s", "ms", "s", "s"]
    assert all(float(line[30:38]) > 0 for line in out.splitlines())


def test_a_clip_is_needed_where_none_can_be_made(run, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gunileo.corpus.synthetic", None)
    code, out, err = run("bench", "--model", model)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "--clip FILE" in err


def test_a_bad_clip_is_one_line(run, model: str, tmp_path: Path) -> None:
    code, _, err = run("bench", "--clip", clips.text(tmp_path / "a.mp4"), "--model", model)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "a.mp4" in err
