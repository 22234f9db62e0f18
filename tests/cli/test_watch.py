"""A folder that is watched: each file is read once, when it is whole, whatever comes between."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import clips
import pytest
from waiting import PATIENCE, until

from gunileo.cli.options import Job
from gunileo.cli.watch import Arrivals


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def names(jobs: list[Job]) -> list[str]:
    return [job.stem.as_posix() for job in jobs]


def never(job: Job) -> bool:
    return False


def test_a_file_is_given_once_when_it_no_longer_changes(inbox: Path) -> None:
    arrivals = Arrivals(inbox, never)
    (inbox / "a.mp4").write_bytes(b"1")
    assert arrivals.settled(0) == []
    (inbox / "a.mp4").write_bytes(b"12")
    assert arrivals.settled(3) == [], "it grows"
    os.utime(inbox / "a.mp4", ns=(7, 7))
    assert arrivals.settled(6) == [], "written over, of the same size"
    assert arrivals.settled(9.9) == []
    assert names(arrivals.settled(10)) == ["a"]
    assert arrivals.settled(20) == []
    (inbox / "a.mp4").write_bytes(b"other")
    assert arrivals.settled(21) == []
    assert names(arrivals.settled(25)) == ["a"], "it changed"


def test_one_that_was_moved_away_may_come_again(inbox: Path) -> None:
    arrivals = Arrivals(inbox, never)
    (inbox / "a.mp4").write_bytes(b"1")
    arrivals.settled(0)
    assert names(arrivals.settled(4)) == ["a"]
    (inbox / "a.mp4").rename(inbox / "a.gone")
    arrivals.settled(5)
    (inbox / "a.gone").rename(inbox / "a.mp4")
    assert [arrivals.settled(now) for now in (6, 11)] == [[], []], "it is the same"
    (inbox / "a.mp4").unlink()
    (inbox / "a.mp4").write_bytes(b"another")
    arrivals.settled(12)
    assert names(arrivals.settled(16)) == ["a"]


def test_temporary_names_are_passed_over(inbox: Path) -> None:
    arrivals = Arrivals(inbox, never)
    for name in (".a.mp4", "~a.mp4", "b.part.mp4", "c.TMP.mov", "d.mp4.crdownload", "e.txt", "parts.mp4", "day/f.mov"):
        (inbox / name).parent.mkdir(exist_ok=True)
        (inbox / name).write_bytes(b"1")
    arrivals.settled(0)
    assert names(arrivals.settled(5)) == ["parts", "day/f"]


def test_what_was_done_before_is_known_at_the_first_look(inbox: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (inbox / name).write_bytes(b"1")
    arrivals = Arrivals(inbox, lambda job: job.stem == Path("a"))
    arrivals.settled(0)
    assert names(arrivals.settled(5)) == ["b"]
    (inbox / "a.mp4").write_bytes(b"changed")
    arrivals.settled(6)
    assert names(arrivals.settled(10)) == ["a"]


def test_a_folder_that_is_away_and_a_name_that_is_taken_are_told_once(
    inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrivals = Arrivals(inbox, never)
    for name in ("a.mp4", "a.mov"):
        (inbox / name).write_bytes(b"1")
    arrivals.settled(0)
    assert len(arrivals.settled(4)) == 1
    inbox.rename(inbox.with_name("away"))
    assert [arrivals.settled(now) for now in (5, 6, 7)] == [[], [], []]
    inbox.with_name("away").rename(inbox)
    assert [arrivals.settled(now) for now in (8, 13)] == [[], []]
    taken, away = capsys.readouterr().err.splitlines()
    assert (
        taken
        == f"{inbox / 'a.mp4'}: its results would have the same names as those of {inbox / 'a.mov'}; rename one of them"
    )
    assert away == f"{inbox}: can't be reached; waiting until it is back"


@contextmanager
def watching(folder: Path, *arguments: object) -> Iterator[Callable[[], tuple[int, str, str]]]:
    """A watcher that runs, and waits less for each file; what is given ends it by Ctrl-C and tells exit code, standard
    output and error."""
    impatient = "from gunileo.cli import main, watch; watch._STEADY, watch._EVERY = 0.5, 0.1; main.main()"
    command = [sys.executable, "-c", impatient, "watch", *map(str, arguments)]
    with open(folder / "out", "w+") as out, open(folder / "err", "w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)

        def end() -> tuple[int, str, str]:
            os.killpg(process.pid, signal.SIGINT)
            code = process.wait(timeout=PATIENCE)
            return code, (folder / "out").read_text(), (folder / "err").read_text()

        try:
            yield end
        finally:
            process.kill()


def test_a_watcher_reads_what_lands_and_goes_on_after_a_restart(inbox: Path, model: str, tmp_path: Path) -> None:
    out, said_in, told_in = tmp_path / "read", tmp_path / "out", tmp_path / "err"
    clips.good(inbox / "first.mp4", 20)
    clips.good(inbox / "coming.part.mp4", 20)
    with watching(tmp_path, inbox, "-o", out, "-f", "txt", "--model", model) as end:
        until(lambda: "first.mp4" in said_in.read_text() and (out / "first.txt").exists())
        (inbox / "coming.part.mp4").rename(inbox / "coming.mp4")
        clips.text(inbox / "bad.mp4")
        until(lambda: "coming.mp4" in said_in.read_text() and "bad.mp4" in told_in.read_text())
        until((out / "coming.txt").exists)
        code, said, told = end()
    assert code == 0
    assert said.splitlines() == [
        f"{inbox / name}.mp4: {(out / name).with_suffix('.txt').read_text().strip()}" for name in ("first", "coming")
    ]
    watched, bad, stopped = told.splitlines()
    assert (watched, stopped) == (f"watching {inbox}; Ctrl-C ends it", "stopped")
    assert bad.startswith(f"{inbox / 'bad.mp4'}: ")
    assert sorted(path.name for path in out.iterdir()) == ["coming.txt", "first.txt"]

    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    clips.good(inbox / "third.mp4", 20)
    with watching(tmp_path, inbox, "-o", out, "-f", "txt", "--model", model) as end:
        until(lambda: "third.mp4" in said_in.read_text() and "bad.mp4" in told_in.read_text())
        until((out / "third.txt").exists)
        code, said, told = end()
    assert (code, len(said.splitlines()), len(told.splitlines())) == (0, 1, 3)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_folder_that_is_not_there_is_one_line(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = run("watch", tmp_path / "none", "-o", tmp_path / "out")
    assert (code, err) == (1, f"{tmp_path / 'none'}: not a folder; create it, or name another\n")
