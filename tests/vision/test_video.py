"""Video files as frames: the right ones, upright, in time, one after the other."""

import os
import threading
import weakref
from pathlib import Path

import av
import clips
import numpy as np
import pytest
from clips import difference
from numpy.typing import NDArray

from gunileo.corpus.finders import VIDEO_SUFFIXES
from gunileo.vision import video
from gunileo.vision.video import VideoError, ahead, read_frames, write_video

FORMATS = [".mpg", ".mp4", ".mov", ".webm", ".avi", ".mkv"]


def assert_on_screen(path: Path, times: NDArray[np.float64]) -> None:
    """Every frame read is one that a player shows within half a frame of its time."""
    shown = [clips.read_clock(frame) for frame in read_frames(path)]
    assert len(shown) == int((times[-1] + 0.04) * 25 + 0.501)  # the clips' last frame lasts 0.04 s
    for number, index in enumerate(shown):
        early, late = np.searchsorted(times, np.array([-0.0201, 0.0201]) + number / 25, side="right") - 1
        assert max(early, 0) <= index <= late, f"frame {number} shows {index}"


@pytest.mark.parametrize("suffix", FORMATS)
def test_formats(tmp_path: Path, suffix: str) -> None:
    assert suffix in VIDEO_SUFFIXES
    frames = list(read_frames(clips.coded(tmp_path / f"clip{suffix}", 20)))
    assert len(frames) == 20
    for frame, original in zip(frames, clips.talking()[0], strict=False):
        assert frame.dtype == np.uint8
        assert difference(frame, original) < 6


@pytest.mark.parametrize("fps", [10, 24, 25, 30, 50, 60])
def test_other_rates_come_at_25_a_second(tmp_path: Path, fps: int) -> None:
    times = np.arange(2 * fps) / fps
    assert_on_screen(clips.clock_video(tmp_path / "clock.mp4", times), times)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_rate(tmp_path: Path, suffix: str) -> None:
    times = clips.variable_times()
    assert_on_screen(clips.clock_video(tmp_path / f"clock{suffix}", times), times)


def test_a_picture_that_stands_still_is_repeated(tmp_path: Path) -> None:
    times = np.array([0, 0.04, 0.08, 1.08, 1.12])
    path = clips.clock_video(tmp_path / "clock.mp4", times)
    assert [clips.read_clock(frame) for frame in read_frames(path)] == [0, 1, *[2] * 25, 3, 4]


def test_time_starts_with_the_first_frame(tmp_path: Path) -> None:
    times = 1 + np.arange(10) / 25
    path = clips.clock_video(tmp_path / "clock.mkv", times)
    assert [clips.read_clock(frame) for frame in read_frames(path)] == list(range(10))


@pytest.mark.parametrize("name", ["clock.avi", "clock.mpg"])
def test_reordered_frames_without_times_come_in_order(tmp_path: Path, name: str) -> None:
    # In AVI, H.264's frames get times of their own out of order; in MPEG's program stream most get none.
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "3", "b-pyramid": "normal"})
        stream.height, stream.width = 64, 96
        for index in range(50):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(clips.clock(index), format="rgb24")))
        container.mux(stream.encode(None))
    assert [clips.read_clock(frame) for frame in read_frames(path)] == list(range(50))


def test_what_was_trimmed_away_on_a_phone_is_not_missed(tmp_path: Path) -> None:
    # Trimming leaves all frames in the file and notes which ones to show.
    whole, trimmed = clips.clock_video(tmp_path / "whole.mp4", np.arange(50) / 25), tmp_path / "trimmed.mp4"
    options = {"use_editlist": "1", "avoid_negative_ts": "disabled"}
    with av.open(str(whole)) as source, av.open(str(trimmed), "w", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.pts is not None:
                second = round(1 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - second, packet.dts - second, stream
                target.mux(packet)
    assert [clips.read_clock(frame) for frame in read_frames(trimmed)] == list(range(25, 50))


def test_rotation_is_applied(tmp_path: Path) -> None:
    upright = clips.talking()[0][:5, :, 65:295]
    frames = list(read_frames(clips.turned(tmp_path / "turned.mov", upright)))
    assert len(frames) == 5
    for frame, original in zip(frames, upright, strict=True):
        assert difference(frame, original) < 4
        assert difference(frame, original[::-1, ::-1]) > 30


def test_4k_is_shrunk_and_upright(tmp_path: Path) -> None:
    frames = list(read_frames(clips.phone_4k(tmp_path / "phone.mp4", 3)))
    assert [frame.shape for frame in frames] == [(1280, 720, 3)] * 3
    left, right = frames[0][:, :360].mean(), frames[0][:, 360:].mean()
    original = clips.talking()[0][0, :, 99:261]
    assert left == pytest.approx(original[:, :81].mean(), abs=3)
    assert right == pytest.approx(original[:, 81:].mean(), abs=3)


def test_frames_are_a_stream(tmp_path: Path) -> None:
    path = clips.clock_video(tmp_path / "clock.mp4", np.arange(250) / 25)
    alive: weakref.WeakSet[NDArray[np.uint8]] = weakref.WeakSet()
    most = 0
    for frame in read_frames(path):
        alive.add(frame.view(Frame))
        most = max(most, len(alive))
    assert most <= 2


class Frame(np.ndarray):  # type: ignore[type-arg]
    """An array that a set can hold."""

    __hash__ = object.__hash__  # type: ignore[assignment]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see which files are open")
def test_a_stream_left_early_closes_its_file(tmp_path: Path) -> None:
    path = clips.clock_video(tmp_path / "clock.mp4", np.arange(50) / 25)

    def is_open() -> bool:
        links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        return any(os.path.realpath(link) == str(path.resolve()) for link in links)

    frames = read_frames(path)
    next(frames)
    assert is_open()
    frames.close()  # type: ignore[attr-defined]
    assert not is_open()


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    for path, reason in (
        (clips.empty(tmp_path / "empty.mp4"), "the file is empty; copy"),
        (clips.text(tmp_path / "text.mp4"), "not a video, or damaged; play it"),
        (clips.audio_only(tmp_path / "sound.mp4"), "has sound but no picture; give a video"),
        (tmp_path / "gone.mp4", "no such file; check the path"),
        (tmp_path, "is a folder without numbered pictures"),
    ):
        with pytest.raises(VideoError) as error:
            next(read_frames(path))
        assert str(error.value).startswith(f"{path}: {reason}")


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".avi"])
def test_a_file_that_was_cut_is_refused_after_its_last_frame(tmp_path: Path, suffix: str) -> None:
    whole = clips.coded(tmp_path / f"whole{suffix}", 40)
    data = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: len(data) // 2])
    frames = read_frames(cut)
    assert difference(next(frames), clips.talking()[0][0]) < 6
    with pytest.raises(VideoError, match=rf"cut{suffix}: truncated, \d\.\d of \d\.\d seconds are there; copy"):
        list(frames)


def test_a_cut_mp4_is_refused_wherever_its_index_is(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"last\.mp4: its index is missing"):
        next(read_frames(clips.truncated(tmp_path / "last.mp4")))
    frames = read_frames(clips.truncated(tmp_path / "first.mp4", index_first=True))
    next(frames)
    with pytest.raises(VideoError, match=r"first\.mp4: truncated, 1\.\d of 3\.0 seconds"):
        list(frames)


def test_written_video_is_read_back(tmp_path: Path) -> None:
    frames = clips.talking()[0][:10]
    write_video(tmp_path / "clip.mp4", frames)
    for read, original in zip(read_frames(tmp_path / "clip.mp4"), frames, strict=True):
        assert difference(read, original) < 3
    write_video(tmp_path / "fast.mp4", frames, fps=50)
    assert len(list(read_frames(tmp_path / "fast.mp4"))) == 5


@pytest.mark.parametrize("name", ["clip.avi", "clip.mpg", "clip.webm", "clip"])
def test_only_containers_that_hold_each_frames_time_are_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: H\.264 is written to \.mp4"):
        write_video(tmp_path / name, clips.talking()[0][:2])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("speaker", "shape"), [("s1", (288, 360, 3)), ("s4", (576, 720, 3))])
def test_real_clips_come_frame_by_frame(shared: Path, speaker: str, shape: tuple[int, int, int]) -> None:
    path = min((shared / "grid" / speaker).glob("*.m*"))
    with av.open(str(path)) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    frames = list(read_frames(path))
    assert frames[0].shape == shape
    for frame, original in zip(frames, decoded, strict=True):
        assert difference(frame, original) < 1


@pytest.mark.parametrize("large", [2**20, 0])  # smaller frames come by this thread
def test_frames_decoded_ahead_are_the_same_and_so_are_errors(
    tmp_path: Path, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "LARGE", large)
    whole = clips.good(tmp_path / "good.mp4")
    for one, other in zip(read_frames(whole), ahead(read_frames(whole)), strict=True):
        np.testing.assert_array_equal(one, other)
    cut = clips.truncated(tmp_path / "cut.mp4", index_first=True)
    with pytest.raises(VideoError) as plain:
        list(read_frames(cut))
    with pytest.raises(VideoError) as threaded:
        list(ahead(read_frames(cut)))
    assert str(threaded.value) == str(plain.value)


def test_frames_decoded_ahead_may_be_left_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "LARGE", 0)
    begun = threading.active_count()
    frames = ahead(read_frames(clips.good(tmp_path / "good.mp4")))
    next(frames)
    next(frames)
    assert threading.active_count() > begun
    frames.close()
    assert threading.active_count() == begun
