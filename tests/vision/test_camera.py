"""Frames from a camera: 25 a second whatever it gives, and one line if there is none."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import clips
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunileo.vision.camera import Camera, CameraError, Taken, evenly, timed
from gunileo.vision.video import FPS


def taken(times: list[float]) -> list[Taken]:
    """A frame for each time, with its number in it."""
    return [Taken(np.full((1, 1, 3), number, np.int64), 100 + at) for number, at in enumerate(times)]  # type: ignore[arg-type]


def numbers(frames: Iterator[Taken]) -> list[int]:
    return [int(one.frame[0, 0, 0]) for one in frames]


def test_25_a_second_stay_as_they_are() -> None:
    assert numbers(evenly(taken([number / 25 for number in range(50)]))) == list(range(50))


def test_of_30_a_second_every_sixth_is_left_out() -> None:
    kept = numbers(evenly(taken([number / 30 for number in range(61)])))
    assert len(kept) == 51
    assert len(set(kept)) == 51
    assert all(abs(number / 30 - place / 25) <= 1 / 50 + 1e-9 for place, number in enumerate(kept))


def test_of_15_a_second_most_come_twice() -> None:
    kept = numbers(evenly(taken([number / 15 for number in range(31)])))
    assert len(kept) == 51
    assert set(kept) == set(range(31))
    assert all(abs(number / 15 - place / 25) <= 1 / 30 + 1e-9 for place, number in enumerate(kept))


@given(st.lists(st.floats(0.001, 0.9), min_size=1, max_size=60))
def test_each_place_gets_the_nearest_frame_of_those_around_it(steps: list[float]) -> None:
    times = np.concatenate([[0.0], np.cumsum(steps)])
    kept = numbers(evenly(taken(times.tolist())))
    assert abs(len(kept) - 1 - times[-1] * FPS) <= 0.5 + 1e-6
    assert kept == sorted(kept)
    for place, number in enumerate(kept):
        # The frame after it may come later than half a place, for none is waited for.
        best = np.abs(times - place / FPS).min()
        assert abs(times[number] - place / FPS) <= max(best, 0.5 / FPS) + 1e-9


def test_a_computer_that_slept_is_a_second_of_rest() -> None:
    kept = numbers(evenly(taken([0.0, 0.04, 3600.0, 3600.04])))
    assert kept == [0, 1, *[2] * 25, 3]


def test_a_file_in_a_cameras_place_keeps_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.zeros((1, 1, 3), np.uint8)] * 6
    begun = time.monotonic()
    assert len(list(timed(frames, in_time=True))) == 6
    assert time.monotonic() - begun >= 5 / FPS
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    assert len(list(timed(frames, in_time=False))) == 6


class Device:
    """A camera of 30 pictures a second that is unplugged after ``clips.clock`` has shown it 45 of them."""

    def __init__(self, number: int) -> None:
        self.there, self.released, self.shown = number == 0, False, 0

    def isOpened(self) -> bool:
        return self.there

    def read(self) -> tuple[bool, Any]:
        time.sleep(1 / 30)
        self.shown += 1
        if self.shown > 45:
            return False, None
        picture = clips.clock(self.shown)
        picture[..., 0] = 7  # blue, as OpenCV has it
        return True, picture

    def release(self) -> None:
        self.released = True


def test_a_camera_that_is_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(0)
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: device)
    found: list[Taken] = []

    def watch(camera: Camera) -> None:
        for one in camera.frames():
            found.append(one)
            if len(found) == 10:
                time.sleep(1)  # busy with a sentence; the next ones keep their times

    with Camera(0) as camera, pytest.raises(CameraError, match="camera 0: gives no more pictures; check its cable"):
        watch(camera)
    assert [clips.read_clock(one.frame) for one in found] == list(range(1, 46))
    assert np.diff([one.time for one in found]).max() < 0.9
    assert (found[0].frame[..., 2] == 7).all()
    assert device.released
    assert camera.dropped == 0


def test_a_computer_that_is_too_slow_drops_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    from gunileo.vision import camera as module

    monkeypatch.setattr(cv2, "VideoCapture", Device)
    monkeypatch.setattr(module, "_WAITING", 3)
    with Camera(0) as camera:
        while camera.dropped <= 10:
            time.sleep(0.01)
        first = next(camera.frames())
    assert clips.read_clock(first.frame) == 1


def test_no_camera_is_one_line(run, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run("live", "--camera", "93", "--model", model)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "camera 93: not there, or in use by another program; plug it in, or name another with --camera"
    ]
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CameraError, match=r'needs OpenCV; run: pip install "gunileo\[live\]"'):
        Camera(0)


def test_live_from_a_camera_reads_what_was_begun_when_it_is_unplugged(
    run, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Talking(Device):
        def read(self) -> tuple[bool, Any]:
            there, _ = super().read()
            return there, np.ascontiguousarray(clips.talking()[0][self.shown + 15, :, :, ::-1]) if there else None

    monkeypatch.setattr(cv2, "VideoCapture", Talking)
    code, out, err = run("live", "--model", model)
    assert code == 1
    assert len(out.split()) == 6
    assert err.splitlines() == ["camera 0: gives no more pictures; check its cable"]
