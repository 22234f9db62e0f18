import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PosixPath
from typing import Any

import av
import clips
import cv2
import numpy as np
import pytest
from folders import files
from waiting import until

from gunileo.corpus.cache import Cache, CachedUtterance, CacheError, Entry, enter, entry_of, shape_file
from gunileo.corpus.finders import Utterance, find_grid
from gunileo.corpus.labels import ALIGN_UNITS, WordTime
from gunileo.corpus.prepare import cut_out, open_cache, prepare
from gunileo.vision.mouth import read_mouth
from gunileo.vision.mouth_shape import MEASURES
from gunileo.vision.video import write_video


@pytest.fixture(scope="session")
def utterances(synthetic_corpus: Path) -> list[Utterance]:
    """Two of a speaker's clips."""
    return find_grid(synthetic_corpus).utterances[:2]


@pytest.fixture(scope="session")
def prepared(utterances: list[Utterance], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of those clips that no test may change."""
    cache = tmp_path_factory.mktemp("prepared") / "cache"
    report = prepare(utterances, cache, workers=2)
    assert (report.done, report.kept, report.skipped) == (2, 0, [])
    return cache


@pytest.fixture
def cache(prepared: Path, tmp_path: Path) -> Path:
    """A copy of that cache to change."""
    return Path(shutil.copytree(prepared, tmp_path / "cache"))


def own(utterance: Utterance, folder: Path) -> Utterance:
    """The utterance with a copy of its video, of the same time stamp, to change."""
    return replace(utterance, video=Path(shutil.copy2(utterance.video, folder)))


def cut(*utterances: Utterance) -> set[str]:
    """The files of these utterances in a cache."""
    return {f"{one.id}.{kind}" for one in utterances for kind in ("png", "npy")}


def test_titles_before_a_face_are_left_out_and_words_keep_their_frames(tmp_path: Path) -> None:
    talk, segments = clips.talking()
    said = [(word, start / ALIGN_UNITS, end / ALIGN_UNITS) for start, end, word in segments if word != "sil"]
    titles = np.full_like(talk[0], 30)
    write_video(tmp_path / "plain.mp4", talk)
    write_video(tmp_path / "titled.mp4", [titles] * 50 + list(talk) + [titles] * 20)
    text = " ".join(word for word, *_ in said)

    def cut_from(name: str, later: float) -> CachedUtterance | str:
        words = tuple(WordTime(word, start + later, end + later) for word, start, end in said)
        entry = cut_out(Utterance("a", "", tmp_path / name, text, words), tmp_path / "cache")
        return entry if isinstance(entry, str) else entry_of(entry.line().encode()).utterance

    plain, titled = cut_from("plain.mp4", 0), cut_from("titled.mp4", 2)
    assert isinstance(plain, CachedUtterance)
    assert isinstance(titled, CachedUtterance)
    assert abs(titled.frames - plain.frames) <= 12  # half a second of titles may be taken for a face that is hidden
    shift = titled.words[0].start - plain.words[0].start
    assert 0 <= shift <= 0.5
    assert [word.end for word in titled.words] == pytest.approx([word.end + shift for word in plain.words])
    reason = cut_from("titled.mp4", 0)
    first = f"'{said[0][0]}' is said from {said[0][1]:.2f} to {said[0][2]:.2f} s"
    assert str(reason).startswith(f"{tmp_path / 'titled.mp4'}: {first}, but a face is seen from 2.")


@pytest.mark.parametrize(("first", "last"), [(0, 10), (38, 50), (66, 75)])
def test_a_face_that_is_hidden_for_some_frames_loses_no_clip(tmp_path: Path, first: int, last: int) -> None:
    path = clips.face_gone(tmp_path / "a.mp4", first, last)
    said = [one for one in clips.talking()[1] if one.word != "sil"]
    words = tuple(WordTime(word, start / ALIGN_UNITS, end / ALIGN_UNITS) for start, end, word in said)
    entry = cut_out(Utterance("a", "", path, " ".join(word.word for word in words), words), tmp_path / "cache")
    assert isinstance(entry, Entry)
    assert (entry.start, entry.utterance.frames, entry.utterance.words) == (0, 75, words)


def test_word_times_count_from_where_a_player_starts(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48000, layout="mono")
        film = container.add_stream("libx264", rate=25)
        film.height, film.width = clips.talking()[0].shape[1:3]
        film.pix_fmt = "yuv420p"
        for start in range(0, 4 * 48000, 1024):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 48000, start
            container.mux(sound.encode(silence))
        for number, pixels in enumerate(clips.talking()[0]):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = number + 25
            container.mux(film.encode(frame))
        container.mux([*sound.encode(None), *film.encode(None)])
    utterance = Utterance("a", "", path, "bin", (WordTime("bin", 1.5, 1.9),))
    open_cache(tmp_path / "cache")
    entry = cut_out(utterance, tmp_path / "cache")
    assert isinstance(entry, Entry)
    assert entry.utterance.words[0].start == pytest.approx(0.5, abs=0.03)
    enter(tmp_path / "cache", entry)
    report = prepare([utterance], tmp_path / "cache", workers=1)
    assert (report.done, report.kept) == (0, 1)
    assert Cache(tmp_path / "cache").utterances == [entry.utterance]


def test_a_cache_gives_back_what_was_cut_out(prepared: Path, utterances: list[Utterance]) -> None:
    cache = Cache(prepared)
    assert {clip.id for clip in cache.utterances} == {utterance.id for utterance in utterances}
    by_id = {utterance.id: utterance for utterance in utterances}
    for clip in cache.utterances:
        source = by_id[clip.id]
        assert (clip.speaker, clip.text, clip.words) == (source.speaker, source.text, source.words)
        assert len(clip.words) == 6
        found, expected = cache.load(clip), read_mouth(source.video)
        assert (found.crops.dtype, found.crops.shape) == (np.uint8, (clip.frames, 100, 150))
        assert (found.measures.dtype, found.measures.shape) == (np.float32, (clip.frames, MEASURES))
        np.testing.assert_array_equal(found.crops, expected.crops)
        np.testing.assert_array_equal(found.measures, expected.measures)
        assert clip.has_crops


def test_a_cached_clip_is_a_picture_of_ten_crops_a_row(prepared: Path) -> None:
    cache = Cache(prepared)
    clip = cache.utterances[0]
    picture = cv2.imread(str(prepared / clip.file), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape == (800, 1500)  # 75 crops: seven full rows and a half
    crops = cache.crops(clip)
    np.testing.assert_array_equal(picture[300:400, 150:300], crops[31])
    assert not picture[700:, 750:].any()


def test_a_cache_holds_what_it_says_and_nothing_else(prepared: Path, utterances: list[Utterance]) -> None:
    assert files(prepared) == {"cache.json", "manifest.jsonl", *cut(*utterances)}
    assert json.loads((prepared / "cache.json").read_text()) == {"version": 2, "fps": 25, "height": 100, "width": 150}
    lines = [json.loads(line) for line in (prepared / "manifest.jsonl").read_text().splitlines()]
    line = next(line for line in lines if line["id"] == utterances[0].id)
    video = utterances[0].video
    assert line == {
        **{"id": utterances[0].id, "talker": "s1", "file": f"{utterances[0].id}.png", "frames": 75},
        **{"text": utterances[0].text, "words": [[word.word, word.start, word.end] for word in utterances[0].words]},
        **{"source": str(video), "bytes": video.stat().st_size, "mtime": video.stat().st_mtime},
    }


def test_what_is_there_is_kept(cache: Path, utterances: list[Utterance]) -> None:
    before = {name: (cache / name).stat().st_mtime_ns for name in files(cache)}
    steps: list[tuple[int, int]] = []
    report = prepare(utterances, cache, progress=lambda settled, total: steps.append((settled, total)))
    assert (report.done, report.kept, report.skipped) == (0, 2, [])
    assert {name: (cache / name).stat().st_mtime_ns for name in files(cache)} == before
    assert steps == [(2, 2)]


def test_a_run_goes_on_where_it_was_killed(cache: Path, utterances: list[Utterance]) -> None:
    # Killed while it wrote the second line: its PNG is there, the line is torn.
    manifest = cache / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    (first,) = Cache(cache).utterances
    steps: list[tuple[int, int]] = []
    report = prepare(utterances, cache, workers=1, progress=lambda settled, total: steps.append((settled, total)))
    assert (report.done, report.kept, report.skipped) == (1, 1, [])
    assert steps == [(1, 2), (2, 2)]
    again = Cache(cache).utterances
    assert first in again  # workers write lines in the order in which they end
    assert [clip.frames for clip in again] == [75, 75]


def test_a_lost_picture_is_made_again(cache: Path, utterances: list[Utterance]) -> None:
    clip = Cache(cache).utterances[0]
    (cache / clip.file).unlink()
    report = prepare(utterances, cache, workers=1)
    assert (report.done, report.kept) == (1, 1)
    assert len(Cache(cache).load(clip)) == 75


def test_a_lost_or_empty_shape_is_made_again(cache: Path, utterances: list[Utterance]) -> None:
    first, second = Cache(cache).utterances
    shape_file(cache, first.id).unlink()
    shape_file(cache, second.id).write_bytes(b"")
    report = prepare(utterances, cache, workers=1)
    assert (report.done, report.kept) == (2, 0)
    assert Cache(cache).measures(first).shape == Cache(cache).measures(second).shape == (75, MEASURES)


def test_a_mended_label_needs_no_new_cut(cache: Path, utterances: list[Utterance]) -> None:
    mended = replace(utterances[0], text="bin blue", words=(WordTime("bin", 0.5, 1.0),))
    report = prepare([mended, utterances[1]], cache)
    assert (report.done, report.kept) == (0, 2)
    found = {clip.id: clip for clip in Cache(cache).utterances}
    assert (found[mended.id].text, found[mended.id].words) == (mended.text, mended.words)
    assert found[utterances[1].id].text == utterances[1].text


def test_a_video_that_went_bad_leaves_the_cache(cache: Path, utterances: list[Utterance], tmp_path: Path) -> None:
    bad = own(utterances[0], tmp_path)
    clips.empty(bad.video)
    report = prepare([bad, utterances[1]], cache, workers=1)
    assert (report.done, report.kept) == (0, 1)
    ((name, reason),) = report.skipped
    assert name == bad.id
    assert str(bad.video) in reason
    assert [clip.id for clip in Cache(cache).utterances] == [utterances[1].id]
    assert not cut(bad) & files(cache)


def test_a_moved_corpus_is_still_the_same(cache: Path, utterances: list[Utterance], tmp_path: Path) -> None:
    report = prepare([own(utterance, tmp_path) for utterance in utterances], cache)
    assert (report.done, report.kept) == (0, 2)


def test_bad_clips_are_reported_and_passed(tmp_path: Path, utterances: list[Utterance]) -> None:
    makers = [clips.empty, clips.text, clips.one_frame, clips.black, clips.no_face]
    bad = [Utterance(f"bad/{make.__name__}", "bad", make(tmp_path / f"{make.__name__}.mp4"), "bin") for make in makers]
    gone = Utterance("bad/gone", "bad", tmp_path / "gone.mp4", "bin")
    report = prepare([*bad, gone, utterances[0]], tmp_path / "cache", workers=2)
    assert report.done == 1
    reasons = dict(report.skipped)
    assert set(reasons) == {clip.id for clip in [*bad, gone]}
    for clip in [*bad, gone]:
        assert str(clip.video) in reasons[clip.id]
        assert "\n" not in reasons[clip.id]
    assert files(tmp_path / "cache") == {"cache.json", "manifest.jsonl", *cut(utterances[0])}


class Deadly(PosixPath):
    """A path that ends the process that receives it, as a crash in a decoder does."""

    def __reduce__(self) -> Any:
        return os.abort, ()


def test_a_process_that_dies_loses_only_its_clip(tmp_path: Path, utterances: list[Utterance]) -> None:
    deadly = Utterance("bad/deadly", "bad", Deadly(tmp_path / "deadly.mp4"), "bin")
    report = prepare([utterances[0], deadly, utterances[1]], tmp_path / "cache", workers=1)
    assert report.done == 2
    ((name, reason),) = report.skipped
    assert name == "bad/deadly"
    assert "its process died" in reason


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_stops_with_one_line_and_leaves_nothing_half_written(
    cache: Path, utterances: list[Utterance]
) -> None:
    before = files(cache)
    (cache / "s9").mkdir()
    (cache / "s9" / ".clip.png.part").symlink_to("/dev/full")  # where the picture is written first
    with pytest.raises(CacheError, match="the disk is full; free some space") as error:
        prepare([*utterances, replace(utterances[0], id="s9/clip")], cache, workers=1)
    assert "\n" not in str(error.value)
    assert files(cache) == before
    assert prepare([*utterances, replace(utterances[0], id="s9/clip")], cache, workers=1).done == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_clip_that_was_being_cut_when_the_disk_got_full_is_kept(tmp_path: Path, utterances: list[Utterance]) -> None:
    short = replace(utterances[0], id="short", words=(), video=clips.good(tmp_path / "short.mp4", 5))
    cache = tmp_path / "cache"
    prepare([], cache)
    (cache / ".short.png.part").symlink_to("/dev/full")
    with pytest.raises(CacheError, match="the disk is full"):
        prepare([utterances[1], short], cache, workers=2)
    assert [clip.id for clip in Cache(cache).utterances] == [utterances[1].id]
    assert files(cache) == {"cache.json", "manifest.jsonl", *cut(utterances[1])}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_picture_without_room_for_its_line_is_taken_away(tmp_path: Path, utterances: list[Utterance]) -> None:
    entry = cut_out(utterances[0], tmp_path)
    assert isinstance(entry, Entry)
    (tmp_path / "manifest.jsonl").symlink_to("/dev/full")
    with pytest.raises(CacheError, match="the disk is full"):
        enter(tmp_path, entry)
    assert files(tmp_path) == {"manifest.jsonl"}


@pytest.mark.parametrize("name", ["../clip", "s1/../../clip", "/tmp/clip", "", "s1//clip", "..", "s1\\clip", "c:clip"])
def test_no_id_leads_out_of_the_cache(tmp_path: Path, utterances: list[Utterance], name: str) -> None:
    report = prepare([replace(utterances[0], id=name)], tmp_path / "in" / "cache", workers=1)
    assert report.done == 0
    assert "outside of the cache" in report.skipped[0][1]
    assert files(tmp_path) == {"in/cache/cache.json"}


def test_an_id_that_is_there_twice_is_taken_once(cache: Path, utterances: list[Utterance]) -> None:
    report = prepare([*utterances, utterances[0]], cache)
    assert report.kept == 2
    assert "is there twice" in report.skipped[0][1]


def test_a_cache_of_another_version_is_refused(cache: Path, utterances: list[Utterance]) -> None:
    before = files(cache)
    for version in (1, 3):  # the first had no shapes
        (cache / "cache.json").write_text(f'{{"version": {version}, "fps": 25, "height": 100, "width": 150}}')
        for use in (lambda: Cache(cache), lambda: prepare(utterances, cache), lambda: open_cache(cache)):
            message = rf"{cache} is a cache of another version .*'version': {version}.* prepare the corpus again into"
            with pytest.raises(CacheError, match=message) as error:
                use()
            assert "\n" not in str(error.value)
    assert files(cache) == before


def test_a_folder_that_is_no_cache_is_refused(tmp_path: Path, utterances: list[Utterance]) -> None:
    (tmp_path / "diary.txt").write_text("private")
    for folder in (tmp_path, tmp_path / "gone", tmp_path / "diary.txt"):
        with pytest.raises(CacheError, match="is not a cache; make one with 'gunileo prepare"):
            Cache(folder)
    with pytest.raises(CacheError, match="is a folder with other things in it"):
        prepare(utterances, tmp_path)
    with pytest.raises(CacheError, match="is a file"):
        prepare(utterances, tmp_path / "diary.txt")
    assert files(tmp_path) == {"diary.txt"}


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[]", "{}", '{"id": "../x", "talker": "", "file": "../x.png", "frames": 1, "text": "", "words": []}'],
)
def test_a_damaged_manifest_names_its_line(cache: Path, line: str) -> None:
    manifest = cache / "manifest.jsonl"
    manifest.write_text(f"{manifest.read_text().splitlines()[0]}\n{line}\n")
    with pytest.raises(CacheError, match=r"manifest\.jsonl: line 2 is damaged"):
        Cache(cache)


def test_a_damaged_picture_is_named(cache: Path) -> None:
    opened = Cache(cache)
    first, second = opened.utterances
    picture = cache / first.file
    picture.write_bytes(picture.read_bytes()[:1000])
    (cache / second.file).unlink()
    for clip in (first, second):
        with pytest.raises(CacheError, match=f"{clip.file} is missing or damaged"):
            opened.load(clip)
    with pytest.raises(CacheError, match="damaged"):
        opened.load(replace(first, frames=5))


@pytest.mark.parametrize("fault", ["cut", "gone", "longer", "of another type", "pickled", "empty"])
def test_a_damaged_shape_is_named(cache: Path, fault: str) -> None:
    opened = Cache(cache)
    clip = opened.utterances[0]
    path = shape_file(cache, clip.id)
    measures = opened.measures(clip)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif fault == "gone":
        path.unlink()
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "pickled":
        np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    else:
        np.save(path, measures[:-1] if fault == "longer" else measures.astype(np.float64))
    for read in (opened.load, opened.measures):
        with pytest.raises(CacheError, match=rf"{clip.id}\.npy is missing or damaged; delete it and run the same"):
            read(clip)
    assert opened.crops(clip).shape == (75, 100, 150), "the picture is still whole"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to see which processes are left")
def test_a_killed_run_leaves_no_process_and_goes_on(synthetic_corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom gunileo.corpus.finders import find_grid\nfrom gunileo.corpus.prepare import prepare\n"
        "if __name__ == '__main__':\n    prepare(find_grid(sys.argv[1]).utterances, sys.argv[2], workers=1)\n"
    )
    cache = tmp_path / "cache"
    with subprocess.Popen([sys.executable, str(script), str(synthetic_corpus), str(cache)]) as run:
        until(lambda: (cache / "manifest.jsonl").exists() or run.poll() is not None)
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        run.kill()
    assert children
    until(lambda: not any(runs(child) for child in children))
    report = prepare(find_grid(synthetic_corpus).utterances, cache, workers=2)
    assert report.kept >= 1
    assert (report.done + report.kept, report.skipped) == (6, [])
    assert len(files(cache)) == 2 * 6 + 2


def runs(process: str) -> bool:
    try:
        # One that has ended may wait, as a zombie (Z), for an init process that never asks for it.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
