"""Faces in a frame, small ones too: a talker in the corner of a recorded screen is read."""

from collections.abc import Callable

import clips
import cv2
import numpy as np
import pytest
from clips import difference
from numpy.typing import NDArray
from skimage import data

from gunileo.vision.detector import faces_in, faces_near, small_faces_in
from gunileo.vision.face import FaceTracker
from gunileo.vision.faces import find_faces
from gunileo.vision.mouth import mouth_stream
from gunileo.vision.mouth_clip import Mouth, MouthClip

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def corner() -> Pixels:
    """40 frames, 1280x720: a page of a book, in whose corner somebody speaks."""
    return on_a_page(clips.talking()[0][20:60], 8 / 9)


def on_a_page(frames: Pixels, scale: float) -> Pixels:
    screen = cv2.resize(np.repeat(data.page()[..., None], 3, 2), (1280, 720))
    pictures = np.repeat(screen[None], len(frames), 0)
    for picture, frame in zip(pictures, frames, strict=True):
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture[-small.shape[0] :, -small.shape[1] :] = small
    return pictures


def test_a_small_face_is_found_in_parts_of_the_frame(corner: Pixels) -> None:
    assert faces_in(corner[0]) == []
    (face,) = small_faces_in(corner[0])
    assert 80 < face.side < 1280 / 8
    assert face.x > 960
    assert face.y > 464
    (again,) = faces_near(corner[1], face)
    assert np.hypot(again.x - face.x, again.y - face.y) < face.side / 8


def test_a_talker_in_a_corner_is_followed_as_one_alone(corner: Pixels) -> None:
    found, alone = followed(corner), followed(clips.talking()[0][20:60])
    assert None not in found
    assert difference(crops(found), crops(alone)) < 6
    assert list(find_faces(corner, "screen.mp4")) == [""]


def test_one_who_comes_late_is_found_too(corner: Pixels) -> None:
    empty = np.repeat(data.page()[..., None], 3, 2)
    late = [cv2.resize(empty, (1280, 720))] * 30 + list(corner)
    found = followed(late)
    assert found[:20] == [None] * 20
    assert sum(mouth is not None for mouth in found[30:]) >= 40 - 26, "small faces are looked for once a second"


def test_a_small_face_that_was_lost_is_found_where_it_was(corner: Pixels) -> None:
    tracker = FaceTracker()
    tracker.count(corner[:12:4])
    tracker.start(corner[:12])
    hidden = np.zeros_like(corner[0])
    found = list(tracker([*corner[:5], hidden, hidden, *corner[5:10]]))
    assert [landmarks is None for landmarks in found] == [False] * 5 + [True] * 2 + [False] * 5


@pytest.mark.parametrize(
    "picture", [data.coffee, data.chelsea, data.brick, data.coins, data.rocket, data.page, data.text]
)
def test_pictures_without_faces_have_none_in_their_parts(picture: Callable[[], Pixels]) -> None:
    pixels = picture()
    pixels = np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else np.ascontiguousarray(pixels)
    assert faces_in(pixels) + small_faces_in(cv2.resize(pixels, (1280, 800))) == []


def test_small_faces_in_small_pictures_are_not_looked_for(corner: Pixels) -> None:
    """They could not be read."""
    assert small_faces_in(cv2.resize(corner[0], (640, 360), interpolation=cv2.INTER_AREA)) != []
    assert small_faces_in(cv2.resize(corner[0], (620, 349), interpolation=cv2.INTER_AREA)) == []


def test_a_picture_that_stands_is_followed_once(corner: Pixels) -> None:
    """A frame that comes again and again, as a recorder holds it, and those after it."""
    talk = clips.talking()[0]
    for frames in (list(talk[:40]), list(corner)):  # small pictures come many at once, large ones one by one
        found = followed([*frames[:20], *[frames[20]] * 30, *frames[20:]])
        assert None not in found
        stands = np.stack([mouth.measures for mouth in found[24:50] if mouth])
        assert len(np.unique(stands, axis=0)) <= 4, "two threads, and two looks from each"
        gone_on = crops(found[50:])
        assert difference(gone_on, crops(followed(frames))[20:]) < 2


def followed(frames: list[Pixels] | Pixels) -> list[Mouth | None]:
    return list(mouth_stream(iter(frames)))


def crops(mouths: list[Mouth | None]) -> Pixels:
    return MouthClip.of([mouth for mouth in mouths if mouth]).crops
