"""Preparing a corpus: what is kept and what is made again, bad clips, dying processes, full disks."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PosixPath
from typing import Any

import clips
import pytest
from folders import cut, files
from waiting import until

from gunileo.corpus.cache import Cache, CacheError, Entry, enter, shape_file
from gunileo.corpus.finders import Utterance, find_grid
from gunileo.corpus.labels import WordTime
from gunileo.corpus.prepare import cut_out, prepare
from gunileo.vision.mouth_shape import MEASURES


def own(utterance: Utterance, folder: Path) -> Utterance:
    """The utterance with a copy of its video, of the same time stamp, to change."""
    return replace(utterance, video=Path(shutil.copy2(utterance.video, folder)))


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


def test_an_id_that_is_there_twice_is_taken_once(cache: Path, utterances: list[Utterance], tmp_path: Path) -> None:
    before = files(cache)
    other = own(utterances[0], tmp_path)
    os.utime(other.video, (0, 0))
    for again in (utterances[0], other):
        report = prepare([*utterances, again], cache)
        assert report.kept == 2
        assert "is there twice" in report.skipped[0][1]
        assert files(cache) == before


def test_a_text_that_no_class_spells_is_told_and_leaves_the_cache_whole(
    cache: Path, utterances: list[Utterance]
) -> None:
    changed = replace(utterances[0], text="Bin blue!")  # as only Python can give it: finders refuse such labels
    report = prepare([changed, utterances[1]], cache, workers=1)
    ((name, reason),) = report.skipped
    assert (name, report.kept) == (changed.id, 1)
    assert reason.startswith(f"{changed.video}: 'Bin blue!': character 'B' has no class")
    assert len(Cache(cache).utterances) == 2, "what was there stays as it was"


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
