"""Many clips in one file: as a table, as others read it, and as sclite takes it."""

import csv
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_nist import LATER, READ, sclite

from gunileo.errors import Stopped
from gunileo.output.nist import to_ctm, to_trn
from gunileo.output.table import Row, TableError, open_table, rows
from gunileo.output.transcript import joined, together
from gunileo.util.files import FileError

TALK = joined("s10/talk, long.mp4", "labial", [READ, LATER], 9.5)
TWO = together({"left": joined("s9/two.mp4", "labial", [READ]), "right": joined("s9/two.mp4", "labial", [LATER])})


def written(path: Path) -> Path:
    """All kinds of clips in a table."""
    with open_table(path) as table:
        table.add(READ)
        table.fail("s1/bad.mp4", 's1/bad.mp4: "no" video, or damaged')
        table.add(TALK)
        table.add(TWO)
    return path


ROWS = [
    Row("clips/s1/bbaf2n.mpg", None, "bin blue", 0.49, True, None, "labial"),
    Row("s1/bad.mp4", error='s1/bad.mp4: "no" video, or damaged'),
    Row("s10/talk, long.mp4", None, "bin blue lay red", 0.49, True, 9.5, "labial"),
    Row("s9/two.mp4", "left", "bin blue", 0.49, True, None, "labial"),
    Row("s9/two.mp4", "right", "lay red", 0.49, True, None, "labial"),
]


def test_csv_has_a_row_a_clip(tmp_path: Path) -> None:
    path = written(tmp_path / "new" / "results.csv")
    with path.open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == ["path", "speaker", "text", "confidence", "sure", "seconds", "model", "error"]
    assert [(row["path"], row["speaker"], row["text"], row["error"]) for row in read] == [
        (row.path, row.speaker or "", row.text or "", row.error or "") for row in ROWS
    ]
    assert [row["sure"] for row in read] == ["true", "", "true", "true", "true"]
    assert [row["confidence"] for row in read[:2]] == ["0.49", ""]
    assert len(path.read_text().splitlines()) == 6, "one line a row"
    assert [file.name for file in path.parent.iterdir()] == ["results.csv"]


def test_parquet_has_the_same_rows_with_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason='needs the extra "table"')
    table = parquet.read_table(written(tmp_path / "results.parquet"))
    assert [Row(**row) for row in table.to_pylist()] == ROWS
    types = {field.name: str(field.type) for field in table.schema}
    assert (types["confidence"], types["sure"], types["seconds"], types["text"]) == (
        "double",
        "bool",
        "double",
        "string",
    )


@pytest.mark.parametrize("kind", ["csv", "trn", "ctm", "parquet"])
def test_a_name_that_is_no_utf8_is_no_fault(tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason='needs the extra "table"')
    with open_table(tmp_path / f"a.{kind}") as table:
        table.add(replace(READ, file=os.fsdecode(b"s1_caf\xe9.mp4")))
        table.add(READ)
    content = (tmp_path / f"a.{kind}").read_bytes()
    assert rb"s1_caf\udce9" in content
    assert b"bbaf2n" in content


def test_parquet_of_more_rows_than_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason='needs the extra "table"')
    monkeypatch.setattr("gunileo.output.table._GROUP", 2)
    file = parquet.ParquetFile(written(tmp_path / "results.parquet"))
    assert (file.num_row_groups, file.metadata.num_rows) == (3, 5)


def test_without_pyarrow_parquet_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TableError, match=r'results.parquet: pyarrow is not installed.*"gunileo\[table\]"'):
        written(tmp_path / "results.parquet")
    with pytest.raises(TableError, match=r"name it NAME.csv, NAME.parquet, NAME.trn, NAME.ctm"):
        written(tmp_path / "results.xlsx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["csv", "parquet", "trn", "ctm"])
def test_what_was_read_by_then_is_written_whatever_ends_it(tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason='needs the extra "table"')
    path = tmp_path / f"results.{kind}"
    for ending in (KeyboardInterrupt(), Stopped("stopped")):
        with pytest.raises(type(ending)):
            broken_off(path, ending)
        assert b"bin" in path.read_bytes()
        assert list(tmp_path.iterdir()) == [path]
        path.unlink()


def broken_off(path: Path, ending: BaseException) -> None:
    with open_table(path) as table:
        table.add(READ)
        raise ending


def test_a_place_that_cant_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results.csv").mkdir()
    with pytest.raises(FileError, match="choose another place"):
        written(tmp_path / "results.csv")


def test_trn_and_ctm_are_what_sclite_takes_of_many_clips(tmp_path: Path) -> None:
    """A clip that could not be read counts as words that are missing, and clips are in the order of their ids."""
    trn, ctm = (written(tmp_path / f"read.{kind}").read_text() for kind in ("trn", "ctm"))
    assert trn.splitlines()[1] == " (s1_bad)"
    names = [line.split()[0] for line in ctm.splitlines()]
    assert names == sorted(names)
    assert names[0] == "s10_talk,.long"
    bad = "lay red (s1_bad)\n"
    reference = to_trn(READ) + bad + to_trn(TALK) + to_trn(TWO)
    assert sclite(tmp_path, "trn", reference, trn)[:7] == ["5", "12", "83.3", "0.0", "16.7", "0.0", "16.7"]
    whole = "".join(sorted(to_ctm(clip) for clip in (READ, TALK, TWO)))
    assert sclite(tmp_path, "ctm", whole, ctm)[2:7] == ["100.0", "0.0", "0.0", "0.0", "0.0"]


def test_rows_of_a_clip_without_words() -> None:
    nothing = joined("a.mp4", "m", [], 3.0)
    assert list(rows(nothing)) == [Row("a.mp4", None, "", 0.0, False, 3.0, "m")]
