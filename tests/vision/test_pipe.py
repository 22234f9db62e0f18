"""Films from pipes and from numbered pictures."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import clips
import numpy as np
import pytest
from PIL import Image

from gunileo.errors import GunileoError
from gunileo.vision.pipe import kept
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import VideoError, length, read_frames, write_video

pipes = pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")


@contextmanager
def fifo(folder: Path, data: bytes) -> Iterator[Path]:
    """A named pipe through which bytes come."""
    folder.mkdir(exist_ok=True)
    path = folder / "fifo"
    os.mkfifo(path)

    def write() -> None:
        with suppress(BrokenPipeError):
            path.write_bytes(data)

    thread = Thread(target=write)
    thread.start()
    yield path
    thread.join(60)


@pipes
@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mpg", ".avi", ".mp4"])
def test_a_pipe_is_read_like_its_file(tmp_path: Path, suffix: str) -> None:
    file = clips.coded(tmp_path / f"a{suffix}", 30)
    with fifo(tmp_path, file.read_bytes()) as path:
        assert length(path) == 0
        for one, other in zip(read_frames(path), read_frames(file), strict=True):
            np.testing.assert_array_equal(one, other)


@pipes
@pytest.mark.parametrize(("data", "reason"), [(b"", "nothing came through the pipe"), (b"a" * 9999, "not a video")])
def test_what_is_wrong_with_a_pipe_is_said(tmp_path: Path, data: bytes, reason: str) -> None:
    with fifo(tmp_path, data) as path, pytest.raises(VideoError, match=rf"fifo: {reason}"):
        next(read_frames(path))


@pipes
def test_a_pipe_is_kept_to_be_read_twice(tmp_path: Path) -> None:
    file = clips.good(tmp_path / "a.mp4", 10)
    with fifo(tmp_path, file.read_bytes()) as path, kept(path) as copy:
        assert len(list(read_frames(copy))) == len(list(read_frames(copy))) == 10
    assert not copy.exists()
    with kept(file) as same:
        assert same == file


@pipes
def test_an_error_of_what_is_kept_names_the_pipe(tmp_path: Path) -> None:
    with fifo(tmp_path, b"no video" * 999) as path, pytest.raises(VideoError) as error, kept(path) as copy:
        list(read_frames(copy))
    assert str(error.value).startswith(f"{path}: not a video")
    with fifo(tmp_path / "b", b"") as path, pytest.raises(VideoError, match="nothing came through"), kept(path):
        pass


@pipes
def test_a_pipe_for_which_there_is_no_room(disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its index is last, so that all of it has to be kept."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 288, 360, 3), np.uint8)
    write_video(disk.parent / "a.mp4", noise)
    data = (disk.parent / "a.mp4").read_bytes()
    assert len(data) > 500_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(disk))
        with fifo(disk.parent, data) as path, pytest.raises(VideoError, match=r"\(No space .*\); free some space in"):
            list(read_frames(path))
        with fifo(disk.parent / "b", data) as path, pytest.raises(VideoError, match="No space left"), kept(path):
            pass
    assert capfd.readouterr().err == ""


def pictures(folder: Path, numbers: list[int], name: str = "frame_{:03d}.png") -> Path:
    folder.mkdir()
    for index, number in enumerate(numbers):
        Image.fromarray(clips.clock(index)).save(folder / name.format(number))
    return folder


def clocks(source: Path | str, rate: float = 25) -> list[int]:
    return [clips.read_clock(frame) for frame in read_frames(source, rate=rate)]


def test_numbered_pictures_by_pattern_or_folder(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", list(range(1, 21)))
    (folder / "notes.txt").write_text("x")
    assert clocks(folder / "frame_%03d.png") == clocks(folder) == list(range(20))
    assert clocks(str(folder / "frame_%d.png")) == list(range(20))
    many = pictures(tmp_path / "b", list(range(8, 13)), "{}.png")  # 10 comes after 9
    assert clocks(many) == list(range(5))


def test_numbered_pictures_of_another_rate(tmp_path: Path) -> None:
    folder, timeline = pictures(tmp_path / "a", list(range(30))), Timeline()
    assert len(list(read_frames(folder, timeline, rate=50))) == 15
    assert timeline.duration == pytest.approx(0.6)
    assert len(clocks(folder, rate=12.5)) == 60


def test_a_missing_number_leaves_its_time(tmp_path: Path) -> None:
    assert clocks(pictures(tmp_path / "a", [0, 1, 2, 5, 6])) == [0, 1, 2, 2, 2, 3, 4]
    assert clocks(pictures(tmp_path / "b", [10, 20, 30, 40])) == [0, 1, 2, 3]


def test_what_is_wrong_with_pictures_is_said(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no_%d\.png: no pictures with such names are there"):
        next(read_frames(tmp_path / "no_%d.png"))
    folder = pictures(tmp_path / "a", [0, 1, 2])
    (folder / "frame_001.png").write_text("no picture")
    with pytest.raises(VideoError, match=r"frame_001\.png: not a picture, or damaged; open it"):
        list(read_frames(folder))
    folder = pictures(tmp_path / "b", [0, 1, 2], "color_{:03}.png")
    for picture in pictures(tmp_path / "c", [0, 1, 2], "depth_{:03}.png").iterdir():
        picture.rename(folder / picture.name)
    with pytest.raises(GunileoError, match=r"color_000\.png and depth_000\.png have the same number; give a pattern"):
        next(read_frames(folder))
    assert clocks(folder / "depth_%03d.png") == [0, 1, 2]
