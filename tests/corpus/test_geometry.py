"""Published mouth geometry becomes the measures that a video's frames would have given, and a cache's utterances."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry import FIRST, GAP, LENGTHS, archive, measures_of, spans

from gunileo.corpus.cache import Cache, CacheError, shape_file
from gunileo.corpus.finders import find_grid
from gunileo.corpus.geometry import Shape, add_speaker, speaker_shapes
from gunileo.corpus.grid import code_to_text
from gunileo.corpus.prepare import prepare
from gunileo.errors import GunileoError
from gunileo.vision.mouth_shape import MEASURES, POINTS, features

CODES = ["bbaf2n", "lwws9a", "pgiozs"]
SCRIPT = Path(__file__).parents[2] / "scripts" / "geometry_cache.py"


def changed(path: Path, **arrays: object) -> Path:
    """The same archive with other arrays; without those that are None."""
    content = {**dict(np.load(path)), **arrays}
    np.savez_compressed(path, **{name: array for name, array in content.items() if array is not None})
    return path


def usable(path: Path) -> list[Shape]:
    """The utterances of an archive that can be used."""
    return [one for one in speaker_shapes(path) if one]


def test_measures_there_and_back(tmp_path: Path) -> None:
    found = usable(archive(tmp_path / "s7.npz", CODES))
    assert [one.code for one in found] == CODES
    for one in found:
        assert (one.measures.dtype, one.measures.shape) == (np.float32, (75, MEASURES))
        known = np.isfinite(one.measures[:, 0])
        assert (np.isfinite(one.measures).all(1) == known).all()
        assert np.flatnonzero(known).tolist() == list(range(FIRST, FIRST + sum(LENGTHS) + GAP))
        expected = measures_of(one.code)
        points = slice(2 * len(POINTS))
        np.testing.assert_allclose(one.measures[known, points], expected[known, points], atol=0.051)  # tenths of pixels
        np.testing.assert_allclose(
            one.measures[known, points.stop :], expected[known, points.stop :], rtol=0.02, atol=0.5
        )
        apart = features(one.measures[known]) - features(expected[known])
        assert np.abs(apart).max() < 0.2, "what a network hears is the same but for the rounding"


def test_words_have_their_times(tmp_path: Path) -> None:
    (one,) = usable(archive(tmp_path / "s7.npz", ["bbaf2n"]))
    assert " ".join(word.word for word in one.words) == "bin blue at f two now"
    times = [(word.start, word.end) for word in one.words]
    assert times[0] == pytest.approx((12 / 25, 18 / 25))
    assert times[3] == pytest.approx(((12 + 17 + GAP) / 25, (12 + 22 + GAP) / 25))


@pytest.mark.parametrize("letter", "azx")
@pytest.mark.parametrize("digit", "z19")
def test_letters_and_digits_have_their_numbers(tmp_path: Path, letter: str, digit: str) -> None:
    """There is no letter w: x, y and z are one number lower than they would be."""
    code = f"bba{letter}{digit}n"
    (one,) = speaker_shapes(archive(tmp_path / "s7.npz", [code]))
    assert " ".join(word.word for word in one.words) == code_to_text(code)
    assert spans(f"bba{'x'}2n")[4][0] == 52


def test_an_utterance_that_says_something_else_is_left_out(tmp_path: Path) -> None:
    path = archive(tmp_path / "s7.npz", CODES)
    ids = np.load(path)["word_ids"].copy()
    ids[1, 0] = 4  # bin for lay
    assert [one and one.code for one in speaker_shapes(changed(path, word_ids=ids))] == ["bbaf2n", None, "pgiozs"]
    starts = np.load(path)["word_starts"].copy()
    starts[0, -5] = 74  # and so do its frames lie past the clip's end
    assert [one.code for one in usable(changed(path, word_starts=starts))] == ["pgiozs"]


@pytest.mark.parametrize(
    "fault",
    [
        {"word_ids": np.full((3, 11), 99, np.int8)},
        {"word_starts": np.full((3, 11), -90, np.int8)},
        {"word_starts": np.full((3, 11), 10, np.int8)},  # all words at once
        {"utterances": np.array(["bbaw2n", "", "../../x"])},
        {"points": "zeros"},
        {"shapes": "zeros"},
        {"points": "noise"},
        {"shapes": "noise"},
    ],
)
def test_an_archive_without_a_sentence_or_a_face_is_named(tmp_path: Path, fault: dict[str, Any]) -> None:
    path = archive(tmp_path / "s7.npz", CODES)
    made = {"zeros": np.zeros_like, "noise": lambda like: np.random.default_rng(0).integers(-500, 500, like.shape)}
    arrays = {name: made[one](np.load(path)[name]) if isinstance(one, str) else one for name, one in fault.items()}
    with pytest.raises(GunileoError, match=r"s7\.npz: none of its 3 utterances can be used, .*; get it again"):
        speaker_shapes(changed(path, **arrays))


def test_an_utterance_of_no_face_is_left_out(tmp_path: Path) -> None:
    path = archive(tmp_path / "s7.npz", CODES)
    points, first = np.load(path)["points"].copy(), np.load(path)["first"]
    points[:, first[1] + 3] += 3000  # tenths of pixels, from the second sentence's fourth frame on
    assert add_speaker(changed(path, points=points), tmp_path / "cache") == (2, 0, 1)
    assert [one.id for one in Cache(tmp_path / "cache").utterances] == ["s7/bbaf2n", "s7/pgiozs"]


FAULTS = {
    "no archive": lambda path: path.write_bytes(b"not a zip file"),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-300]),
    "without points": lambda path: changed(path, points=None),
    "of another length": lambda path: changed(path, points=np.zeros((18, 5), np.int16)),
    "with a torn index": lambda path: changed(path, first=np.array([0, 5, 10, 20])),
    "pickled": lambda path: changed(path, utterances=np.array([{"a": 1}] * 3, object)),
    "missing": lambda path: path.unlink(),
    "with other columns": lambda path: changed(path, shapes=np.zeros((6, 5), np.int16)),
    "with too few points": lambda path: changed(path, points=np.load(path)["points"][:10]),
    "without utterances": lambda path: changed(path, utterances=np.array([1, 2, 3])),
    "with flat words": lambda path: changed(path, word_frames=np.zeros(11, np.int8)),
    "with too few rows": lambda path: changed(path, utterances=np.array([*CODES, "lwws9n"])),
    "one array": lambda path: (np.save(path.with_suffix(".npy"), np.zeros(3)), path.with_suffix(".npy").replace(path)),
    "of no codes": lambda path: changed(path, utterances=np.array("bbaf2n")),
    "damaged inside": lambda path: path.write_bytes(flipped(path.read_bytes())),
}


def flipped(content: bytes) -> bytes:
    """The middle of the file, where the arrays are, overwritten."""
    at = len(content) // 2
    return content[:at] + b"\xff" * 40 + content[at + 40 :]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_file_is_named(tmp_path: Path, fault: str) -> None:
    path = archive(tmp_path / "s7.npz", CODES)
    FAULTS[fault](path)
    with pytest.raises(GunileoError, match=r"s7\.npz: no mouth geometry, or damaged \(.*\); get it again") as error:
        speaker_shapes(path)
    assert "\n" not in str(error.value)


def test_a_speaker_becomes_utterances_of_which_the_shape_is_known(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert add_speaker(archive(tmp_path / "s7.npz", CODES), cache) == (3, 0, 0)
    opened = Cache(cache)
    assert [one.id for one in opened.utterances] == [f"s7/{code}" for code in CODES]
    for one in opened.utterances:
        assert (one.speaker, one.frames, one.has_crops) == ("s7", 75, False)
        assert one.text == " ".join(word.word for word in one.words) == code_to_text(one.id.removeprefix("s7/"))
        np.testing.assert_allclose(
            opened.measures(one)[12:40], measures_of(one.id.removeprefix("s7/"))[12:40], rtol=0.05, atol=0.1
        )
        with pytest.raises(CacheError):
            opened.crops(one)
    assert add_speaker(tmp_path / "s7.npz", cache) == (0, 3, 0), "all are there already"
    assert Cache(cache).utterances == opened.utterances


def test_a_line_that_a_killed_run_tore_harms_no_other(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = archive(tmp_path / "s7.npz", CODES)
    add_speaker(path, cache)
    manifest = cache / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    assert add_speaker(path, cache) == (1, 2, 0)
    assert [one.id for one in Cache(cache).utterances] == [f"s7/{code}" for code in CODES]


def test_what_is_there_with_crops_is_kept(synthetic_corpus: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    utterances = find_grid(synthetic_corpus).utterances[:1]
    prepare(utterances, cache, workers=1)
    (kept,) = Cache(cache).utterances
    assert kept.id == "s1/bbaf2n"
    picture, shape = (cache / kept.file).read_bytes(), shape_file(cache, kept.id).read_bytes()
    assert add_speaker(archive(tmp_path / "s1.npz", CODES), cache) == (2, 1, 0)
    both = Cache(cache).utterances
    assert [one.has_crops for one in both] == [True, False, False]
    assert both[0] == kept
    assert ((cache / kept.file).read_bytes(), shape_file(cache, kept.id).read_bytes()) == (picture, shape)
    assert prepare(utterances, cache, workers=1).kept == 1
    assert Cache(cache).utterances == both, "preparing again leaves the shapes"


def test_a_folder_that_is_no_cache_is_left_alone(tmp_path: Path) -> None:
    path = archive(tmp_path / "s7.npz", ["bbaf2n"])
    with pytest.raises(CacheError, match="is a folder with other things in it"):
        add_speaker(path, tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "cache.json").write_text('{"version": 1, "fps": 25, "height": 100, "width": 150}')
    with pytest.raises(CacheError, match="of another version"):
        add_speaker(path, tmp_path / "old")
    assert {one.name for one in tmp_path.rglob("*")} == {"s7.npz", "old", "cache.json"}


def test_the_script_adds_a_folder_and_names_what_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "geometry"
    folder.mkdir()
    archive(folder / "s7.npz", CODES)
    archive(folder / "s8.npz", CODES[:1])
    (folder / "s9.npz").write_bytes(b"nothing")
    command = [sys.executable, str(SCRIPT), str(folder), "-o", str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "4 utterances added, 0 were there already"
    assert done.stderr.splitlines()[-1].startswith(f"{folder / 's9.npz'}: no mouth geometry, or damaged")
    assert {one.speaker for one in Cache(tmp_path / "cache").utterances} == {"s7", "s8"}
    (folder / "s9.npz").unlink()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "cache.json").write_text('{"version": 1, "fps": 25, "height": 100, "width": 150}')
    old = subprocess.run([*command[:-1], str(tmp_path / "old")], capture_output=True, text=True, check=False)
    assert (old.returncode, old.stderr.count("of another version")) == (1, 1), "once, and not for each file"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "0 utterances added, 4 were there already")
