"""``gunileo transcribe --table``: all results in one file, however they were read."""

import csv
from pathlib import Path

import clips
import pytest


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Two clips and a letter."""
    folder = tmp_path / "s1"
    folder.mkdir()
    clips.good(folder / "a.mp4", 20)
    clips.text(folder / "b.mp4")
    clips.good(folder / "c.mp4", 20)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_clip_has_a_row_in_order(run, shelf: Path, model: str, tmp_path: Path, jobs: int) -> None:  # type: ignore[no-untyped-def]
    line = ("transcribe", shelf, "--model", model, "--jobs", jobs, "--table")
    code, out, err = run(*line, tmp_path / "results.csv")
    assert code == 1
    first, bad, last = rows(tmp_path / "results.csv")
    assert [row["path"] for row in (first, bad, last)] == [str(shelf / name) for name in ("a.mp4", "b.mp4", "c.mp4")]
    assert out.splitlines() == [f"{row['path']}: {row['text']}" for row in (first, last)]
    assert (first["sure"], first["seconds"], first["model"], first["error"]) == ("true", "0.8", model, "")
    assert (bad["text"], bad["sure"], bad["error"]) == ("", "", err.strip())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "s1"], "no other files"


def test_skip_done_keeps_what_was_read_before(run, shelf: Path, model: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    line = ("transcribe", shelf, "--model", model, "--jobs", 1, "-o", tmp_path / "read", "--table", tmp_path / "r.csv")
    run(*line)
    before = rows(tmp_path / "r.csv")
    (shelf / "b.mp4").unlink()
    clips.good(shelf / "b.mp4", 20)
    code, out, _ = run(*line, "--skip-done")
    assert (code, len(out.splitlines())) == (0, 1)
    after = rows(tmp_path / "r.csv")
    assert [after[0], after[2]] == [before[0], before[2]]
    assert (after[1]["path"], after[1]["error"]) == (before[1]["path"], "")
    assert run(*line, "--skip-done", "-f", "txt")[0] == 2
    code, _, err = run("transcribe", shelf, "--table", tmp_path / "r.docx")
    assert (code, err.count("\n")) == (1, 1)
    assert "NAME.csv" in err
