"""Transcripts as text and JSON, and files that appear whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gunileo.files import FileError
from gunileo.transcript import Transcript, Word, to_json, to_txt, write_transcript

READ = Transcript(
    file="clips/bbaf2n.mpg",
    text="bin blue",
    words=(Word("bin", 0.2, 0.44, 0.98765), Word("blue", 0.48, 0.6800000001, 0.5)),
    confidence=0.493825,
    model="labial",
)


def test_json_has_exactly_the_published_fields() -> None:
    assert json.loads(to_json(READ)) == {
        "file": "clips/bbaf2n.mpg",
        "text": "bin blue",
        "words": [
            {"word": "bin", "start": 0.2, "end": 0.44, "confidence": 0.9877},
            {"word": "blue", "start": 0.48, "end": 0.68, "confidence": 0.5},
        ],
        "confidence": 0.4938,
        "model": "labial",
        "sure": True,
    }


def test_txt_is_the_text() -> None:
    assert to_txt(READ) == "bin blue\n"


def test_writes_beside_each_other_and_keeps_dots_in_names(tmp_path: Path) -> None:
    paths = write_transcript(READ, tmp_path / "deep" / "take.1", ["txt", "json"])
    assert paths == [tmp_path / "deep" / "take.1.txt", tmp_path / "deep" / "take.1.json"]
    assert paths[0].read_text() == "bin blue\n"
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["take.1.json", "take.1.txt"]


def test_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()  # a folder where the file should go
    with pytest.raises(FileError, match=r"a\.txt: can't be written"):
        write_transcript(READ, tmp_path / "a", ["txt"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_output_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileError, match="choose another place"):
        write_transcript(READ, tmp_path / "out" / "a", ["txt"])
    assert (tmp_path / "out").read_text() == "mine"


def test_a_guess_is_no_reading_in_any_file() -> None:
    guess = replace(READ, sure=False)
    assert to_txt(guess) == "not sure: bin blue\n"
    assert to_txt(replace(guess, text="", words=())) == "not sure:\n"
    assert json.loads(to_json(guess))["sure"] is False
