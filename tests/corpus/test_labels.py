import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gunileo.corpus.labels import CorpusError, WordTime, read_align, read_phones
from gunileo.corpus.transcripts import read_text

# Of a made-up utterance "lay a": two words, the second of one phone, silences with and without a place tag.
PHONES = [
    {"phone": "SIL_S", "offset": 0, "duration": 0.06},
    {"phone": "l_B", "offset": 0.06, "duration": 0.1},
    {"phone": "ey_E", "offset": 0.16, "duration": 0.2},
    {"phone": "SIL", "offset": 0.36, "duration": 0.04},
    {"phone": "ey_S", "offset": 0.4, "duration": 0.3},
    {"phone": "SIL_S", "offset": 0.7, "duration": 0.1},
]


def align(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def phones(path: Path, content: Any) -> Path:
    path.write_text(json.dumps({"s10_l_bbat9p": content}))
    return path


def test_align_times_become_seconds_without_silences(tmp_path: Path) -> None:
    label = align(
        tmp_path / "a.align", "0 23750 sil\n23750 29500 bin\n29500 30000 sp\n30000 34000 blue\n34000 74500 sil\n"
    )
    assert read_align(label) == (WordTime("bin", 0.95, 1.18), WordTime("blue", 1.2, 1.36))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0 23750 sil\n23750 29500\n", "line 2 is '23750 29500', not 'start end word'"),
        ("0 23750 sil\n23750 bin\n", "line 2"),
        ("0 1000 bin\n1000 2000 blue at\n", "line 2"),
        ("0 x bin\n", "no whole-numbered start and end"),
        ("0 1e3 bin\n", "no whole-numbered start and end"),
        (f"0 {'9' * 400} bin\n", "no whole-numbered start and end"),
        ("2000 1000 bin\n", "starts at 2000 and ends at 1000"),
        ("-5 1000 bin\n", "starts at -5"),
        ("0 2000 bin\n1000 3000 blue\n", "line 2: 'blue' starts at 1000"),
        ("0 74500 sil\n", "has no word"),
        ("", "has no word"),
    ],
)
def test_a_bad_align_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    label = align(tmp_path / "bbaf2n.align", text)
    with pytest.raises(CorpusError, match=r"bbaf2n\.align") as error:
        read_align(label)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_phones_are_grouped_by_their_place_tags(tmp_path: Path) -> None:
    assert read_phones(phones(tmp_path / "a.json", PHONES)) == ((0.06, 0.36), (0.4, 0.7))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (PHONES[:2], "the last word has no end"),
        ([PHONES[1], PHONES[1]], "phone 2, 'l_B', has the tag _B in a wrong place"),
        ([PHONES[2]], "phone 1, 'ey_E', has the tag _E in a wrong place"),
        ([PHONES[1], PHONES[4]], "has the tag _S in a wrong place"),
        ([{"phone": "ey", "offset": 0, "duration": 1}], "has no place tag"),
        ([{"phone": "ey_S", "offset": 0}], "phone 1 has no phone, offset or duration"),
        ([{"phone": "ey_S", "offset": "x", "duration": 1}], "phone 1"),
        ([{"phone": "ey_S", "offset": float("nan"), "duration": 1}], "times of 0 or more"),
        ([{"phone": "ey_S", "offset": -1, "duration": 1}], "times of 0 or more"),
        ([{"phone": "ey_S", "offset": 1, "duration": 0}], "its word ends too early"),
        ([PHONES[4], PHONES[1], PHONES[2]], "its word ends too early"),
        ([7], "phone 1 has no phone"),
        ([], "isn't one utterance with a list of phones"),
        ("text", "isn't one utterance with a list of phones"),
    ],
)
def test_bad_phones_are_refused_in_one_line(tmp_path: Path, content: Any, complaint: str) -> None:
    with pytest.raises(CorpusError, match=r"bad\.json") as error:
        read_phones(phones(tmp_path / "bad.json", content))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", '{"a": [', "[1, 2]", '{"a": [], "b": []}', "null", "[" * 100_000])
def test_malformed_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CorpusError, match=r"bad\.json"):
        read_phones(align(tmp_path / "bad.json", text))


def test_text_is_lower_case_without_punctuation(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeffDon't  stop,\nwell-known friend!\n", "utf-8")
    assert read_text(tmp_path / "a.txt") == "dont stop well known friend"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b" \n", "is empty"), ("caf\u00e9".encode(), "has no class"), (b"10", "has no class"), (b"\xff\xff", "not UTF-8")],
)
def test_a_bad_text_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(CorpusError, match=complaint):
        read_text(tmp_path / "a.txt")


def test_a_missing_label_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"gone\.align can't be read"):
        read_align(tmp_path / "gone.align")


def test_real_phone_files_have_six_words_in_order(shared: Path) -> None:
    if not (shared / "lombard").is_dir():
        pytest.skip(f"needs the real phone files in {shared}")
    labels = sorted((shared / "lombard" / "alignment").glob("*.json"))
    assert len(labels) == 4
    for label in labels:
        spans = read_phones(label)
        assert len(spans) == 6
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
