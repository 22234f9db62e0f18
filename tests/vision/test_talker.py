"""Of several faces the talker's is read: a small one beside a larger picture, one who begins late."""

from collections.abc import Sequence

import clips
import cv2
import numpy as np
import pytest
from clips import difference
from numpy.typing import NDArray

from gunileo.vision import face
from gunileo.vision.box import Box
from gunileo.vision.detector import faces_in, small_faces_in
from gunileo.vision.mouth import MouthTracker, mouth_stream
from gunileo.vision.mouth_clip import Mouth, MouthClip
from gunileo.vision.video import Frame

Pixels = NDArray[np.uint8]
TALK = clips.talking()[0]


def room(poster: Sequence[Pixels], talk: Sequence[Pixels], width: int, scale: float = 0.85) -> Pixels:
    """A large face on the left, and a small one at ``scale`` of its size on the right, in a grainy picture of 16:9."""
    size = (width, width * 9 // 16)
    grain = np.random.default_rng(0).normal(0, 1.5, (size[1], size[0], 3))
    pictures = []
    for number, (large, small) in enumerate(zip(poster, talk, strict=True)):
        picture = np.full((720, 1280, 3), 150, np.uint8)
        picture[60:636, :720] = cv2.resize(large, (720, 576))
        small = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:, 30:-30]
        picture[-small.shape[0] :, -small.shape[1] :] = small
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        pictures.append(np.clip(picture + np.roll(grain, 7 * number, 1), 0, 255).astype(np.uint8))
    return np.stack(pictures)


def mouths(frames: Sequence[Frame] | Pixels) -> list[Mouth | None]:
    return list(mouth_stream(iter(frames)))


def crops(found: Sequence[Mouth | None]) -> Pixels:
    return MouthClip.of([mouth for mouth in found if mouth]).crops


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """The frames in which small faces are looked for."""
    looked: list[Frame] = []

    def counted(frame: Frame) -> list[Box]:
        looked.append(frame)
        return small_faces_in(frame)

    monkeypatch.setattr(face, "small_faces_in", counted)
    return looked


@pytest.mark.parametrize("width", [1280, 768])
def test_a_small_talker_is_read_beside_a_large_picture(width: int) -> None:
    """Small pictures come many at once, large ones one by one."""
    talk = TALK[20:75]
    frames = room(talk[[0] * 55], talk, width, 0.85 if width > 1000 else 1.0)
    assert len(faces_in(frames[0])) == 1
    found = mouths(frames)
    assert None not in found
    assert difference(crops(found), crops(mouths(talk))) < 7
    assert difference(crops(found), crops(mouths(talk[[0] * 55]))) > 8


def test_a_large_talker_is_read_beside_a_small_picture() -> None:
    """Who rests for half a second at first."""
    rest = np.repeat(TALK[:1], 15, 0)
    talk = np.concatenate([rest, TALK[20:60]])
    frames = room(talk, TALK[[30] * 55], 1280)
    assert len(small_faces_in(frames[0])) > 1
    assert difference(crops(mouths(frames)), crops(mouths(talk))) < 7


def test_small_faces_are_looked_for_only_beside_still_ones(looks: list[Frame]) -> None:
    talk = [cv2.resize(frame, (900, 720)) for frame in TALK[20:60]]
    assert None not in mouths(talk)
    assert looks == []
    still = [talk[0]] * 200
    assert None not in mouths(still)
    assert len(looks) == 1, "once, where there are none"


def test_one_who_begins_late_is_read_from_then_on() -> None:
    """At first nobody talks, so that the larger face is followed; its sentence ends where the other's begins."""
    rest, talk = TALK[[0] * 110], TALK[20:75]
    frames = room(clips.another(TALK[[30] * 165]), [*rest, *talk], 768, 1.0)
    found = mouths(frames)
    assert None not in found
    assert len(found) == 165
    others = [number for number, mouth in enumerate(found) if mouth and mouth.other]
    assert len(others) == 1
    assert 50 <= others[0] <= 110
    assert difference(crops(found[110:]), crops(mouths(talk))) < 7


def test_live_waits_only_where_there_is_a_choice() -> None:
    talk = TALK[20:75]
    for frames, waits in ((room(talk[[0] * 55], talk, 768, 1.0), 50), ([*talk], 13)):
        tracker = MouthTracker()
        came = [number for number, frame in enumerate(frames, 1) if tracker.push([frame])]
        assert waits <= came[0] <= waits + 13


def test_one_who_comes_back_after_a_glimpse_of_another_is_the_same() -> None:
    """The other was seen for too few frames to be known."""
    gone = np.zeros_like(TALK[:20])
    frames = [*TALK[:30], *gone, *clips.another(TALK[:3]), *gone, *TALK[30:60]]
    found = mouths(frames)
    assert found[-1] is not None
    assert not any(mouth.other for mouth in found if mouth)
