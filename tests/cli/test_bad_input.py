"""Bad input at the command line: one clear line for each fault, the rest done, nothing half-written left."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import clips
import numpy as np
import pytest
from folders import files

from gunileo.corpus.cache import Cache
from gunileo.corpus.finders import find_corpus
from gunileo.corpus.prepare import prepare
from gunileo.inference import registry
from gunileo.vision.mouth import read_mouth
from gunileo.vision.video import write_video

Run = Callable[..., tuple[int, str, str]]

BAD = {  # name: what is said of it
    "black.mp4": "no face found; film one face from the front",
    "cut_front.mp4": r"truncated, \d\.\d of 3\.0 seconds are there; copy or download it again",
    "cut_late.mp4": "its index is missing, as its recording or copy was broken off; copy it again",
    "cut.webm": r"truncated, \d\.\d of 2\.4 seconds are there; copy or download it again",
    "empty.mp4": "the file is empty; copy or download it again",
    "gone.mp4": r"face found in 15 of 75 frames \(20%\); film one face from the front",
    "one_frame.mp4": r"only 1 frame\(s\) long; at least 5 \(0\.2 s\) are needed",
    "sound.mp4": "has sound but no picture; give a video file",
    "text.mp4": "not a video, or damaged; play it to check, then copy it again",
    "wall.mp4": "no face found; film one face from the front",
}
GOOD = ("good.mp4", "phone_4k.mov", "two_faces.mp4")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every bad clip, some good ones, and what each says. Not to be written into."""
    folder = tmp_path_factory.mktemp("shelf")
    clips.good(folder / "good.mp4", 30)
    clips.phone_4k(folder / "phone_4k.mov")
    clips.two_faces(folder / "two_faces.mp4")
    clips.black(folder / "black.mp4")
    clips.truncated(folder / "cut_front.mp4", index_first=True)
    clips.truncated(folder / "cut_late.mp4")
    whole = clips.coded(folder / "whole.webm", 60)
    (folder / "cut.webm").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    whole.unlink()
    clips.empty(folder / "empty.mp4")
    clips.face_gone(folder / "gone.mp4", 10, 70)
    clips.one_frame(folder / "one_frame.mp4")
    clips.audio_only(folder / "sound.mp4")
    clips.text(folder / "text.mp4")
    clips.no_face(folder / "wall.mp4")
    for name in (*BAD, *GOOD):
        (folder / name).with_suffix(".txt").write_text("bin blue at f two now\n")
    return folder


@pytest.fixture(scope="module")
def good_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.good(tmp_path_factory.mktemp("clip") / "good.mp4", 20)


CACHE = {"cache.json", "manifest.jsonl", "corpus.txt"}


def assert_one_line(err: str, pattern: str) -> None:
    assert len(err.splitlines()) == 1, err
    assert re.search(pattern, err), err


def test_transcribe_reports_each_bad_clip_and_reads_the_others(
    run: Run, shelf: Path, model: str, tmp_path: Path
) -> None:
    before = files(shelf)
    code, out, err = run("transcribe", shelf, "--model", model, "--decode", "greedy", "-o", tmp_path / "out")
    assert code == 1
    read = ["cut_front.mp4", *GOOD]  # of a truncated one, what is there
    assert [line.split(": ")[0] for line in out.splitlines()] == [str(shelf / name) for name in read]
    lines = err.splitlines()
    assert len(lines) == len(BAD)
    for name, line in zip(sorted(BAD), sorted(lines), strict=True):
        assert re.match(re.escape(f"{shelf / name}: ") + BAD[name], line), line
    assert files(tmp_path) == {f"out/{Path(name).stem}.json" for name in read} | {"out/.cut_front.unfinished"}
    assert files(shelf) == before


@pytest.mark.parametrize(("times", "sentences"), [(1, (1, 2)), (3, (3, 5))])
def test_what_was_read_of_a_video_before_its_damage_is_kept(
    run: Run, model: str, tmp_path: Path, times: int, sentences: tuple[int, int]
) -> None:
    """Of a short one as of a long one."""
    talk = list(clips.talking()[0])
    write_video(tmp_path / "whole.mkv", (talk + talk[::-1]) * times)
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) * 3 // 4])
    code, out, err = run("transcribe", tmp_path / "cut.mkv", "--model", model, "-f", "txt,json", "-o", tmp_path / "o")
    assert code == 1
    assert_one_line(err, rf"cut\.mkv: truncated, \d+\.\d of {6 * times}\.0 seconds are there")
    assert sentences[0] <= len(out.splitlines()) <= sentences[1]
    assert (tmp_path / "o" / "cut.txt").read_text() == out
    assert len(json.loads((tmp_path / "o" / "cut.json").read_text())["segments"]) == len(out.splitlines())


def test_prepare_skips_each_bad_clip_and_keeps_the_others(run: Run, shelf: Path, tmp_path: Path) -> None:
    before = files(shelf)
    cache = tmp_path / "cache"
    code, out, err = run("prepare", shelf, "-o", cache, "--workers", "1")
    assert code == 1
    assert "13 videos, 13 labels, 13 pairs, 13 usable" in out
    assert "3 prepared, 0 kept from before, 10 skipped" in out
    lines = err.splitlines()
    assert len(lines) == len(BAD)
    for name, line in zip(sorted(BAD), sorted(lines), strict=True):
        assert re.match(rf"{Path(name).stem} +{re.escape(str(shelf / name))}: {BAD[name]}", line), line
    names = [Path(name).stem for name in GOOD]
    assert files(tmp_path / "cache") == {*CACHE, *(f"{name}.{kind}" for name in names for kind in ("png", "npy"))}
    assert files(shelf) == before

    opened = Cache(cache)
    found = {utterance.id: opened.crops(utterance) for utterance in opened.utterances}
    assert {name: len(crops) for name, crops in found.items()} == {"good": 30, "phone_4k": 8, "two_faces": 30}
    # Of two faces the larger, which is the good clip's; the smaller shows later frames, 8 away.
    assert np.abs(found["two_faces"].astype(np.int16) - found["good"]).mean() < 3
    # The phone's clip is the good one turned upright, its sides cut off.
    for phone, good in zip(found["phone_4k"], found["good"], strict=False):
        assert np.corrcoef(phone.ravel(), good.ravel())[0, 1] > 0.95


def align(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


SPOKEN = ["0 4000 sil", "4000 6000 bin", "6000 8000 blue", "8000 10000 at", "10000 12000 f", "12000 14000 two"]


def test_bad_labels_of_grid(run: Run, good_clip: Path, tmp_path: Path) -> None:
    labels = {
        "bbaf2n": align(*SPOKEN, "14000 17000 now"),
        "bbaf2a": align(*SPOKEN, "14000 again"),
        "bbaf2p": align(*SPOKEN, "14000 17000 pleas"),
        "bbaf2s": align(*SPOKEN, "14000 13000 soon"),
        "bbaf2x": align(*SPOKEN, "14000 17000 now"),
    }
    said = {
        "bbaf2a": r"bbaf2a\.align: line 7 is '14000 again', not 'start end word'; correct or delete the label",
        "bbaf2p": r"bbaf2p\.align says '.* pleas' but the name says '.* please'; correct or delete the label",
        "bbaf2s": r"bbaf2s\.align: line 7: 'soon' starts at 14000 and ends at 13000; correct the times",
        "bbaf2x": r"'x' is not a GRID adverb; use one of anps",
    }
    for name, text in labels.items():
        put(good_clip, tmp_path / "corpus" / "s1" / f"{name}.mp4")
        put(text, tmp_path / "corpus" / "align" / "s1" / f"{name}.align")
    assert_skips(run, tmp_path, said, "s1/bbaf2n")


def test_bad_labels_of_lombard_grid(run: Run, good_clip: Path, tmp_path: Path) -> None:
    places = ["B", "E"] * 6
    phones = [{"phone": f"x_{place}", "offset": n / 20, "duration": 0.05} for n, place in enumerate(places)]
    labels = {
        "s10_l_bbaf2n": json.dumps({"s10_l_bbaf2n": phones}),
        "s10_l_bbaf2a": json.dumps({"s10_l_bbaf2a": phones})[:-40],
        "s10_l_bbaf2p": json.dumps({"s10_l_bbaf2p": phones[:-1]}),
        "s10_l_bbaf2s": json.dumps({"s10_l_bbaf2s": phones[:-2]}),
    }
    said = {
        "s10_l_bbaf2a": r"s10_l_bbaf2a\.json is not JSON \(.*\); correct or delete the label",
        "s10_l_bbaf2p": r"s10_l_bbaf2p\.json: the last word has no end; correct or delete the label",
        "s10_l_bbaf2s": r"s10_l_bbaf2s\.json times 5 words but '.*' has 6; correct or delete the label",
    }
    for name, text in labels.items():
        put(good_clip, tmp_path / "corpus" / "front" / f"{name}.mp4")
        put(text, tmp_path / "corpus" / "alignment" / f"{name}.json")
    assert_skips(run, tmp_path, said, "front/s10_l_bbaf2n")


def test_bad_labels_of_a_folder(run: Run, good_clip: Path, tmp_path: Path) -> None:
    labels = {"a": b"good morning", "b": "gr\u00fcezi".encode(), "c": b"", "d": b"\xff\xffg\x00"}
    said = {
        "b": r"b\.txt: .*'\u00fc' has no class; spell it out in a-z, 1-9 and spaces",
        "c": r"c\.txt is empty; write what the clip says",
        "d": r"d\.txt is not UTF-8 text; save it as UTF-8",
    }
    for name, text in labels.items():
        put(good_clip, tmp_path / "corpus" / f"{name}.mp4")
        (tmp_path / "corpus" / f"{name}.txt").write_bytes(text)
    assert_skips(run, tmp_path, said, "a")


def put(source: Path | str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, str):
        target.write_text(source)
    else:
        shutil.copyfile(source, target)


def assert_skips(run: Run, folder: Path, said: dict[str, str], good: str) -> None:
    """Preparing ``folder/corpus`` skips the clips of ``said`` with a line each, and prepares the good one."""
    code, out, err = run("prepare", folder / "corpus", "-o", folder / "cache", "--workers", "1")
    assert code == 1
    assert f"1 prepared, 0 kept from before, {len(said)} skipped" in out
    lines = err.splitlines()
    assert len(lines) == len(said)
    for name, line in zip(sorted(said), sorted(lines), strict=True):
        assert f"{name}.mp4" in line
        assert re.search(said[name], line), line
    assert files(folder / "cache") == {*CACHE, f"{good}.png", f"{good}.npy"}
    listed = (folder / "cache" / "corpus.txt").read_text()
    assert all(f"{name}.mp4" in listed for name in said)


def test_a_model_with_a_wrong_checksum_is_not_used(
    run: Run, good_clip: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(Path(model).read_bytes())
    info = {
        **{"name": registry.DEFAULT, "file": "labial.onnx", "weights": "", "bytes": {}, "parameters": 1},
        **{"sha256": {"labial.onnx": hashlib.sha256(content).hexdigest()}},
        **dict.fromkeys(("wer_greedy", "wer_grammar", "cer_greedy", "cer_grammar", "milliseconds"), 1.0),
        **dict.fromkeys(("measured_on", "trained_on", "license", "attribution"), ""),
    }
    content[-5000] ^= 1  # a bit of a weight: the file can still be loaded
    (tmp_path / "labial.onnx").write_bytes(content)
    (tmp_path / "models.json").write_text(json.dumps([info]))
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    before = files(tmp_path)
    code, out, err = run("transcribe", good_clip, "-o", tmp_path / "out")
    assert (code, out) == (1, "")
    assert_one_line(err, r"labial\.onnx: checksum differs .*; reinstall gunileo")
    assert files(tmp_path) == before
    assert run("transcribe", good_clip, "--model", tmp_path / "labial.onnx", "--decode", "greedy")[0] == 0


@pytest.mark.parametrize("size", [0, 1000, -1000])
def test_a_model_file_that_is_not_whole_is_not_used(
    run: Run, good_clip: Path, model: str, tmp_path: Path, size: int
) -> None:
    (tmp_path / "part.onnx").write_bytes(Path(model).read_bytes()[:size])
    code, out, err = run("transcribe", good_clip, "--model", tmp_path / "part.onnx")
    assert (code, out) == (1, "")
    assert_one_line(err, r"part\.onnx: no ONNX model, or damaged; train or export it again")


@pytest.fixture(scope="module")
def corpus(good_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short clips in GRID's layout."""
    folder = tmp_path_factory.mktemp("corpus")
    for name in ("bbaf2n", "lwws9a"):
        put(good_clip, folder / "s1" / f"{name}.mp4")
    return folder


@pytest.fixture(scope="module")
def prepared(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their cache, not to be changed."""
    folder = tmp_path_factory.mktemp("prepared") / "cache"
    assert prepare(find_corpus(corpus).utterances, folder, workers=1).done == 2
    return folder


@pytest.fixture
def cache(prepared: Path, tmp_path: Path) -> Path:
    """A cache to change."""
    return Path(shutil.copytree(prepared, tmp_path / "cache"))


def subcommands(corpus: Path, cache: Path, model: str, folder: Path) -> list[tuple[object, ...]]:
    """A command line of every subcommand that takes a cache; what it writes goes below ``folder``."""
    return [
        ("prepare", corpus, "-o", cache),
        ("evaluate", cache, "--model", model, "--json", folder / "new" / "e.json"),
        ("sheet", cache, "-o", folder / "new" / "sheet.png"),
        ("train", cache, "-o", folder / "new" / "run"),
    ]


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ('{"version": 0, "fps": 25, "height": 100, "width": 150}', "is a cache of another version .*; prepare the"),
        ('{"version": 1, "fps": 25, "heig', r"cache\.json is damaged; prepare the corpus again into a new folder"),
    ],
)
def test_a_cache_of_another_version_is_left_alone(
    run: Run, corpus: Path, cache: Path, model: str, marker: str, said: str
) -> None:
    (cache / "cache.json").write_text(marker)
    before = {name: (cache.parent / name).read_bytes() for name in files(cache.parent)}
    for command in subcommands(corpus, cache, model, cache.parent):
        code, _, err = run(*command)
        assert code == 1
        assert_one_line(err, f"{re.escape(str(cache))}.*{said}")
        assert {name: (cache.parent / name).read_bytes() for name in files(cache.parent)} == before
    assert not (cache.parent / "new").exists()


def test_a_cache_with_a_damaged_picture(run: Run, corpus: Path, cache: Path, model: str) -> None:
    picture = cache / "s1" / "lwws9a.png"
    picture.write_bytes(picture.read_bytes()[:2000])
    said = r"s1/lwws9a\.png is missing or damaged; delete it and run the same 'gunileo prepare' again"
    code, out, err = run("evaluate", cache, "--model", model, "--json", cache.parent / "e.json")
    assert (code, out) == (1, "")
    assert re.search(said, err)
    # In a process of its own, where OpenCV has not been imported before the command line's settings.
    command = [sys.executable, "-m", "gunileo", "sheet", str(cache), "-o", str(cache.parent / "sheet.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 of 2 clips" in done.stdout
    assert_one_line(done.stderr, said)
    assert {path.name for path in cache.parent.iterdir()} == {"cache", "sheet.png"}
    picture.unlink()
    code, out, err = run("prepare", corpus, "-o", cache, "--workers", "1")
    assert (code, err) == (0, "")
    assert "1 prepared, 1 kept from before, 0 skipped" in out


def test_a_cache_with_nothing_in_it(run: Run, model: str, tmp_path: Path) -> None:
    clips.empty(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text("hello")
    cache = tmp_path / "cache"
    assert run("prepare", tmp_path, "-o", cache, "--workers", "1")[0] == 1
    assert files(cache) == {"cache.json", "corpus.txt"}
    for command in subcommands(tmp_path, cache, model, tmp_path):
        code, _, err = run(*command)
        assert code == 1
        assert_one_line(err, re.escape(str(tmp_path)))
    assert not (tmp_path / "new").exists()


def test_a_disk_that_gets_full_while_preparing(run: Run, disk: Path, good_clip: Path) -> None:
    corpus, cache = disk.parent / "corpus", disk / "cache"
    for number in range(1, 6):
        put(good_clip, corpus / f"clip{number}.mp4")
        put("bin blue", corpus / f"clip{number}.txt")
    code, _, err = run("prepare", corpus, "-o", cache, "--workers", "2")
    assert code == 1
    assert_one_line(err, f"^{cache}: the disk is full; free some space and run the same command to go on")
    done = Cache(cache).utterances
    assert 0 < len(done) < 5
    assert files(disk) == {
        "cache/cache.json",
        "cache/manifest.jsonl",
        *(f"cache/{clip.id}.{kind}" for clip in done for kind in ("png", "npy")),
    }
    np.testing.assert_array_equal(Cache(cache).crops(done[0]), read_mouth(good_clip).crops)

    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    code, out, err = run("prepare", corpus, "-o", cache, "--workers", "1")
    assert (code, err) == (0, "")
    assert f"{5 - len(done)} prepared, {len(done)} kept from before, 0 skipped" in out


def test_a_full_disk_takes_no_half_transcript(run: Run, disk: Path, good_clip: Path, model: str) -> None:
    free = shutil.disk_usage(disk).free
    (disk / "filler").write_bytes(bytes(free))
    line = ("transcribe", good_clip, "--model", model, "--decode", "greedy", "-f", "txt,json", "-o", disk / "out")
    code, out, err = run(*line)
    assert (code, len(out.splitlines())) == (1, 1)  # what was read isn't lost
    assert_one_line(err, r"out/good\.\w+: can't be written \(No space left on device\); free some space or choose")
    code, _, err = run("transcribe", good_clip, "--model", model, "--burn", "-o", disk / "out")
    assert code == 1
    assert_one_line(err, r"out/good\.mp4: can't be written \(No space left on device\); free some space or choose")
    code, _, err = run("sheet", good_clip.parent, "-o", disk / "sheet.png")
    assert code == 1
    assert_one_line(err, r"sheet\.png: can't be written \(No space left on device\); free some space or choose")
    assert files(disk) == {"filler"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_full_disk_that_standard_output_goes_to(good_clip: Path, tmp_path: Path, model: str, jobs: str) -> None:
    shutil.copy(good_clip, tmp_path / "b.mp4")
    files = [good_clip, tmp_path / "b.mp4"][: int(jobs)]
    command = [sys.executable, "-m", "gunileo", "transcribe", *files, "--model", model, "--decode", "greedy"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, "-f", "txt", "-o", tmp_path / "out", "--jobs", jobs],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert_one_line(done.stderr.decode(), "the output: can't be written .No space left on device.; free some space")
    read = [path.name for path in (tmp_path / "out").iterdir()]
    assert read, "what was read is written all the same"
    assert set(read) <= {good_clip.with_suffix(".txt").name, "b.txt"}


def test_a_file_where_the_texts_should_go_is_told_before_anything_is_read(
    good_clip: Path, tmp_path: Path, run: Run
) -> None:
    place = tmp_path / "texts"
    place.write_text("mine")
    code, out, err = run("transcribe", good_clip, "-o", place, "-f", "txt")
    assert (code, out) == (1, "")
    assert_one_line(err, "texts: is a file; name a folder for what is written")
    assert place.read_text() == "mine"
