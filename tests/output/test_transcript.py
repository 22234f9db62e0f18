"""Transcripts as text and JSON, and files that appear whole or not at all."""

import csv
import html
import json
import os
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pysubs2
import pytest
import webvtt
from praatio import textgrid

from gunileo.output.transcript import Segment, Transcript, Word, joined, spoken_words, together
from gunileo.output.whisper import JsonError, read_json, to_fields, to_json
from gunileo.output.writers import (
    WRITERS,
    to_srt,
    to_textgrid,
    to_tsv,
    to_txt,
    to_vtt,
    write_transcript,
)
from gunileo.util.files import FileError

READ = Transcript(
    file="clips/bbaf2n.mpg",
    text="bin blue",
    words=(Word("bin", 0.2, 0.44, 0.98765), Word("blue", 0.48, 0.6800000001, 0.5)),
    confidence=0.493825,
    model="labial",
)


def test_json_has_exactly_the_published_fields() -> None:
    assert json.loads(to_json(READ)) == {
        "text": "bin blue",
        "language": "en",
        "segments": [
            {
                "id": 0,
                "seek": 20,
                "start": 0.2,
                "end": 0.68,
                "text": " bin blue",
                "tokens": [],
                "temperature": 0.0,
                "avg_logprob": -0.3528,  # (ln 0.9877 + ln 0.5) / 2
                "compression_ratio": 0.5294,  # 9 bytes, and zlib's 17
                "no_speech_prob": 0.0,
                "confidence": 0.4938,
                "sure": True,
                "words": [
                    {"word": " bin", "start": 0.2, "end": 0.44, "probability": 0.9877},
                    {"word": " blue", "start": 0.48, "end": 0.68, "probability": 0.5},
                ],
            }
        ],
        "file": "clips/bbaf2n.mpg",
        "model": "labial",
        "confidence": 0.4938,
        "sure": True,
    }


def test_json_as_a_reader_of_whispers_sees_it() -> None:
    """Words put together are the sentence, as Whisper's own subtitles take them; others read its segments."""
    audio = pytest.importorskip("openai.types.audio", reason='needs the extra "dev"')
    fields = json.loads(to_json(LONG))
    cues = pysubs2.load_from_whisper(fields)
    assert [cue.plaintext for cue in cues] == LONG.text.splitlines()
    assert [(cue.start, cue.end) for cue in cues] == TIMES
    for number, segment in enumerate(fields["segments"]):
        assert segment["id"] == number
        audio.TranscriptionSegment.model_validate(segment, strict=True)  # all fields, of the right types
        assert "".join(word["word"] for word in segment["words"]) == segment["text"]
        assert segment["words"][0]["start"] == segment["start"]
        assert segment["words"][-1]["end"] == segment["end"]
    assert [segment["seek"] for segment in fields["segments"]] == [20, 6100, 360_000]
    never = replace(READ, words=(Word("bin", 0.2, 0.44, 0.0),))
    assert to_fields(never)["segments"][0]["avg_logprob"] == -9.2103, "JSON has no minus infinity"


def test_json_is_read_back(tmp_path: Path) -> None:
    both = together({"left": said("bin blue", 0.0), "right": said("set white now", 0.2, sure=False)})
    for transcript in (LONG, both, replace(LONG, duration=3700.0), replace(READ, hidden=((0.2, 0.44), (1.0, 1.8)))):
        (path,) = write_transcript(transcript, tmp_path / "read", ["json"])
        assert to_json(read_json(path)) == to_json(transcript)
        assert [word.word for word in read_json(path).words] == [word.word for word in transcript.words]
    good = to_fields(READ)
    segment = good["segments"][0]
    for bad in (
        {"text": "bin"},
        good | {"confidence": None},
        good | {"segments": [segment | {"text": 1.5}]},
        good | {"segments": [segment | {"start": "0"}]},
        good | {"segments": {"a": 1}},
        good | {"hidden": [[0.2]]},
        good | {"hidden": [["0.2", 0.4]]},
        [],
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(JsonError, match=r"read\.json: holds no transcript"):
            read_json(path)
    path.write_text("[" * 200_000)
    with pytest.raises(JsonError, match=r"read\.json: holds no transcript"):
        read_json(path)
    path.unlink()
    with pytest.raises(FileError, match=r"read\.json: can't be opened"):
        read_json(path)


def test_words_are_in_the_sentence_that_they_were_said_in() -> None:
    both = together({"left": said("bin blue", 0.0), "right": said("set white now", 0.2)})
    found = [(segment.speaker, " ".join(word.word for word in words)) for segment, words in spoken_words(both)]
    assert found == [("left", "bin blue"), ("right", "set white now")]
    odd = replace(READ, text="2 words", segments=(Segment("2 words", 0.2, 0.44, 0.5, True),))
    assert [len(words) for _, words in spoken_words(odd)] == [1], "what ends later is of no sentence"


def test_txt_is_the_text() -> None:
    assert to_txt(READ) == "bin blue\n"


def test_writes_beside_each_other_and_keeps_dots_in_names(tmp_path: Path) -> None:
    paths = write_transcript(READ, tmp_path / "deep" / "take.1", ["txt", "json"])
    assert paths == [tmp_path / "deep" / "take.1.txt", tmp_path / "deep" / "take.1.json"]
    assert paths[0].read_text() == "bin blue\n"
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["take.1.json", "take.1.txt"]


def test_a_format_that_is_none_is_told_before_any_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'doc' is not a format; use one or more of txt, srt"):
        write_transcript(READ, tmp_path / "a", ["txt", "doc"])
    assert not list(tmp_path.iterdir())


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


LONG = joined(
    "talk.mp4",
    "labial",
    [
        READ,
        replace(
            READ,
            text='it\'s & "q"',
            words=(Word("it's", 61.0, 61.2, 0.1), Word("&", 61.2, 61.3, 0.1), Word('"q"', 61.3, 62.0, 0.2)),
            sure=False,
        ),
        replace(READ, text="again", words=(Word("again", 3599.9996, 3600.5, 1.0),)),
    ],
)
SAID = ["bin blue", 'not sure: it\'s & "q"', "again"]
TIMES = [(200, 680), (61_000, 62_000), (3_600_000, 3_600_500)]  # milliseconds


@pytest.fixture
def written(tmp_path: Path) -> dict[str, Path]:
    return dict(zip(WRITERS, write_transcript(LONG, tmp_path / "talk", list(WRITERS)), strict=True))


def test_srt_as_another_reader_sees_it(written: dict[str, Path]) -> None:
    cues = pysubs2.load(str(written["srt"]), format_="srt")
    assert [cue.plaintext for cue in cues] == SAID
    assert [(cue.start, cue.end) for cue in cues] == TIMES


def test_vtt_as_another_reader_sees_it(written: dict[str, Path]) -> None:
    cues = list(webvtt.read(str(written["vtt"])))
    assert [html.unescape(cue.raw_text) for cue in cues] == SAID
    assert [cue.start for cue in cues] == ["00:00:00.200", "00:01:01.000", "01:00:00.000"]
    assert [cue.end for cue in cues] == ["00:00:00.680", "00:01:02.000", "01:00:00.500"]


def test_textgrid_as_another_reader_sees_it(written: dict[str, Path]) -> None:
    grid = textgrid.openTextgrid(str(written["TextGrid"]), includeEmptyIntervals=False)
    assert grid.tierNames == ("sentences", "words")
    sentences, words = grid.getTier("sentences"), grid.getTier("words")
    assert [entry.label for entry in sentences.entries] == SAID
    assert [entry.label for entry in words.entries] == [word.word for word in LONG.words]
    for entry, word in zip(words.entries, LONG.words, strict=True):
        assert (entry.start, entry.end) == pytest.approx((word.start, word.end), abs=1e-5)
    tiled = textgrid.openTextgrid(str(written["TextGrid"]), includeEmptyIntervals=True).getTier("words").entries
    assert tiled[0].start == 0
    assert all(before.end == after.start for before, after in pairwise(tiled))


def test_tsv_is_a_table_of_words(written: dict[str, Path]) -> None:
    with written["tsv"].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row["word"] for row in rows] == [word.word for word in LONG.words]
    assert (rows[1]["start"], rows[1]["end"], rows[1]["confidence"]) == ("0.480", "0.680", "0.5000")


def test_a_textgrid_is_as_long_as_its_video_and_json_tells_how_long() -> None:
    known = replace(READ, duration=3.0)
    assert "xmax = 3.000000" in WRITERS["TextGrid"](known).splitlines()
    assert WRITERS["TextGrid"](known).count("xmax = 3.000000") == 5  # the file, two tiers, the rest of each
    assert "xmax = 0.680000" in WRITERS["TextGrid"](READ).splitlines()
    assert json.loads(to_json(known))["duration"] == 3.0


def test_a_name_that_is_no_utf8_is_written_and_read_back(tmp_path: Path) -> None:
    """As Linux allows, and old archives have it."""
    clip = joined(os.fsdecode(b"caf\xe9.mp4"), "labial", [])
    paths = write_transcript(clip, tmp_path / "a", list(WRITERS))
    assert read_json(next(path for path in paths if path.suffix == ".json")).file == clip.file
    for path in paths:
        path.read_text(encoding="utf-8")


def test_a_name_that_no_file_system_takes_is_cut(tmp_path: Path) -> None:
    (path,) = write_transcript(READ, tmp_path / ("ä" * 126), ["TextGrid"])
    assert path.name == "ä" * 123 + ".TextGrid"
    assert path.is_file()


@pytest.mark.parametrize("name", WRITERS)
def test_a_clip_without_words_can_be_written(name: str) -> None:
    nothing = Transcript("x", "", (), 0.0, "m", sure=False)
    assert "bin" in WRITERS[name](READ)
    assert "bin" not in WRITERS[name](nothing)


def test_several_speakers_in_one_transcript_in_order_of_time() -> None:
    """Who says what is in every format; of one speaker there is no word of it."""
    left = joined("a.mp4", "m", [said("bin blue", 0.0), said("lay red", 4.0, sure=False)], 9.0)
    right = replace(said("set white", 2.0), hidden=((2.1, 2.4),))
    both = together({"left": replace(left, hidden=((4.0, 4.3), (5.0, 5.5))), "right": right})
    assert both.hidden == ((2.1, 2.4), (4.0, 4.3), (5.0, 5.5))
    assert both.text == "bin blue\nset white\nlay red"
    assert (both.sure, both.duration) == (False, 9.0)
    assert to_txt(both) == "left: bin blue\nright: set white\nleft: not sure: lay red\n"
    assert "\nright: set white\n" in to_srt(both)
    assert "\nleft: not sure: lay red\n" in to_vtt(both)
    assert [segment["speaker"] for segment in to_fields(both)["segments"]] == ["left", "right", "left"]
    assert [word["speaker"] for word in to_fields(both)["segments"][1]["words"]] == ["right", "right"]
    assert "speaker" not in to_fields(left)["segments"][0]["words"][0]
    assert to_tsv(both).splitlines()[3] == "2.000\t2.400\tset\t0.9000\tright"
    assert to_tsv(left).splitlines()[0] == "start\tend\tword\tconfidence"
    tiers = re.findall(r'name = "(.*)"', to_textgrid(both))
    assert tiers == ["left - sentences", "left - words", "right - sentences", "right - words"]


def said(text: str, start: float, sure: bool = True) -> Transcript:
    words = tuple(Word(word, start + n / 2, start + n / 2 + 0.4, 0.9) for n, word in enumerate(text.split()))
    return Transcript("a.mp4", text, words, 0.9, "m", sure)
