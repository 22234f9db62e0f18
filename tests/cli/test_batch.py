"""Many files at once: the results and the order of one after the other, and nothing lost to a stop or a crash."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import clips
import pytest
from test_stop import CLIPS, shelf, stopped  # noqa: F401
from waiting import PATIENCE, until

from gunileo.vision.video import write_video


def test_the_same_as_one_after_the_other_in_order(run, model: str, tmp_path: Path) -> None:
    clips.good(tmp_path / "a.mp4", 40)
    clips.empty(tmp_path / "b.mp4")
    clips.good(tmp_path / "c.mp4", 25)
    clips.text(tmp_path / "d.mp4")
    clips.good(tmp_path / "e.mp4", 20)
    (tmp_path / "away").mkdir()
    os.link(tmp_path / "e.mp4", tmp_path / "away" / "e.mp4")
    files = [tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4", "away/e.mp4")]
    read = {
        jobs: run("transcribe", *files, "--model", model, "--jobs", jobs, "-o", tmp_path / f"out{jobs}")
        for jobs in (1, 3)
    }
    assert read[1][0] == read[3][0] == 1
    lines = read[1][1].splitlines()
    assert [Path(line.split(": ")[0]).name for line in lines] == ["a.mp4", "c.mp4", "e.mp4"]
    assert read[3][1] == read[1][1].replace("out1", "out3")
    assert read[3][2] == read[1][2].replace("out1", "out3")
    assert len(read[3][2].splitlines()) == 3, "two bad files, and one whose name is taken"
    for jobs in (1, 3):
        assert {path.name for path in (tmp_path / f"out{jobs}").iterdir()} == {"a.json", "c.json", "e.json"}


def test_a_killed_worker_loses_its_clip_alone(shelf: Path, model: str, tmp_path: Path) -> None:  # noqa: F811
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc to find workers")
    for number in range(40, CLIPS):
        (shelf / f"clip{number}.mp4").unlink()
    read = tmp_path / "read"
    line = ("transcribe", shelf, "--model", model, "--decode", "greedy", "-o", read, "--jobs", 2)
    process = subprocess.Popen(
        [sys.executable, "-m", "gunileo", *map(str, line)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: process.poll() is not None or len(list(read.glob("*.json"))) >= 2)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    (line_of_it,) = err.splitlines()
    assert "its process died" in line_of_it
    lost = Path(line_of_it.split(": ")[0])
    assert lost.parent == shelf
    names = [line.split(": ")[0] for line in out.splitlines()]
    assert names == sorted(str(path) for path in shelf.glob("*.mp4") if path != lost)
    assert {path.stem for path in read.glob("*.json")} >= {Path(name).stem for name in names}


def workers_of(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, command = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(state.rpartition(")")[2].split()[1]) == parent and b"spawn_main" in command:
            found.append(int(folder.name))
    return sorted(found)


def test_ctrl_c_and_on_again(run, shelf: Path, model: str, tmp_path: Path) -> None:  # noqa: F811
    read = tmp_path / "read"
    line = ("transcribe", shelf, "--model", model, "--decode", "greedy", "-o", read, "--jobs", 2)
    out, err = stopped(tmp_path, lambda _: len(list(read.glob("*.json"))) >= 3, *line)
    done = len(list(read.glob("*.json")))
    assert 3 <= done < CLIPS
    assert len(out.splitlines()) == done, "what is written is told"
    assert err == f"{done} of {CLIPS} files done; stopped; what was read by then stays; go on with --skip-done\n"
    for number in range(20, CLIPS):
        (shelf / f"clip{number}.mp4").unlink()
    before = {path.name: path.stat().st_mtime_ns for path in read.glob("*.json")}
    left = {path.stem for path in shelf.glob("*.mp4")} - {Path(name).stem for name in before}
    code, out, err = run(*line, "--skip-done")
    assert code == 0
    assert {Path(line.split(": ")[0]).stem for line in out.splitlines()} == left
    assert "files were done before" in err
    assert all((read / name).stat().st_mtime_ns == time for name, time in before.items())


def test_a_long_video_that_was_broken_off_is_read_again(run, model: str, tmp_path: Path) -> None:
    frames = list(clips.talking()[0])
    write_video(tmp_path / "long.mkv", (frames + frames[::-1]) * 3)
    data = (tmp_path / "long.mkv").read_bytes()
    (tmp_path / "long.mkv").write_bytes(data[: len(data) * 3 // 4])
    line = ("transcribe", tmp_path / "long.mkv", "--model", model, "-o", tmp_path / "out", "--skip-done")
    assert run(*line)[0] == 1
    part = json.loads((tmp_path / "out" / "long.json").read_text())
    assert run(*line)[0] == 1, "a failure stays one"
    (tmp_path / "long.mkv").write_bytes(data)
    os.utime(tmp_path / "long.mkv", (1, 1))
    code, _, err = run(*line)
    assert (code, err) == (0, "")
    whole = json.loads((tmp_path / "out" / "long.json").read_text())
    assert len(whole["segments"]) > len(part["segments"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["long.json"]
    assert run(*line)[1:] == ("", "1 of 1 files were done before\n")


def test_done_is_what_is_there_and_no_older(run, model: str, tmp_path: Path) -> None:
    clip = clips.good(tmp_path / "a.mp4", 30)
    line = ("transcribe", clip, "--model", model, "-o", tmp_path / "out", "--skip-done", "-f")
    assert len(run(*line, "json")[1].splitlines()) == 1
    assert run(*line, "json")[1] == ""
    assert len(run(*line, "json,txt")[1].splitlines()) == 1, "a format is missing"
    os.utime(clip, (time.time() + 60, time.time() + 60))
    assert len(run(*line, "json")[1].splitlines()) == 1, "the video is newer"
    code, _, err = run("transcribe", clip, "--model", model, "--skip-done")
    assert code == 2
    assert "--skip-done" in err
    code, _, err = run("transcribe", clip, "--model", model, "--address", "localhost:1")
    assert code == 2
    assert "--engine ray" in err
