"""The demo: its whole way at a small size, its page, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gunileo.cli.main import main
from gunileo.corpus.grid import SLOTS as GRID
from gunileo.demo.page import write_page
from gunileo.demo.result import Counts, Reading, Result
from gunileo.demo.run import SETTINGS, SLOTS, run
from gunileo.errors import GunileoError
from gunileo.evaluation.html import marked


def test_vocabulary_is_grids() -> None:
    assert all(set(words) <= set(place) for words, place in zip(SLOTS, GRID, strict=True))
    assert sum(len(words) for words in SLOTS) == 17  # as the page says


def test_demo_goes_all_the_way_and_can_be_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    # Too few steps to learn: the network spells nonsense, which is not the point here.
    counts, settings = Counts(training=3, validation=1, test=2), replace(SETTINGS, epochs=1, learning_rate=1e-6)
    result = run(folder, counts, settings)
    (folder / "demo.html").unlink()
    capsys.readouterr()
    monkeypatch.setattr(run, "__defaults__", (counts, settings))
    with pytest.raises(SystemExit) as ended:
        main(["demo", "-o", str(folder)])
    assert not ended.value.code
    page = (folder / "demo.html").read_text(encoding="utf-8")
    assert len({reading.said for reading in result.readings}) == 2
    for reading in result.readings:
        assert reading.said in page
        assert reading.crops.shape == (75, 100, 150)
        assert len(reading.grammar.split()) == 6
    printed = capsys.readouterr().out
    assert str(folder / "demo.html") in printed
    assert f"{result.rate('grammar'):.1%} with GRID's grammar" in printed
    assert (folder / "run" / "model.onnx").is_file()
    assert len(list((folder / "corpus" / "s1").iterdir())) == 6


def test_page_holds_all_it_shows(tmp_path: Path) -> None:
    video = tmp_path / "bbaf2n.mp4"
    video.write_bytes(b"film")
    said = "bin blue at f two now"
    readings = [Reading(video, np.zeros((75, 100, 150), np.uint8), said, "bin glue at f now", said)]
    result = Result(Counts(), SETTINGS, readings, {"training": 100.0}, b"curve")
    write_page(result, tmp_path / "demo.html")
    page = (tmp_path / "demo.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 3
    assert all(source.startswith("data:") for source in sources)
    assert "http" not in page
    assert "33.3%" in page  # two words of six, greedy
    assert "0.0%" in page
    assert "bin <mark>glue</mark> at f <mark>…</mark> now" in page


def test_marks_what_was_not_said() -> None:
    assert marked("lay red", "lay red") == "lay red"
    assert marked("lay red", "") == "<mark>…</mark>"
    assert marked("lay red", "lay a<b red") == "lay <mark>a&lt;b</mark> red"


def test_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "work.txt").write_text("mine")
    with pytest.raises(GunileoError, match="name a new folder"):
        run(tmp_path)
    assert (tmp_path / "run" / "work.txt").read_text() == "mine"
