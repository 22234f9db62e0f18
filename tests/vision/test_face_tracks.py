"""Several faces through some frames: each is looked at once, and those stay that are seen in half of them."""

import numpy as np
import pytest

from gunileo.vision import face_tracks
from gunileo.vision.box import Box
from gunileo.vision.face_tracks import in_each, steady
from gunileo.vision.video import Frame

LEFT, NEAR, RIGHT = Box(50, 50, 40, 0), Box(60, 50, 40, 0), Box(200, 50, 40, 0)


@pytest.fixture(params=[1, 2])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one core, and with a second thread."""
    monkeypatch.setattr(face_tracks, "usable_cores", lambda: request.param)


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize(
    ("faces", "people"),
    [
        ([[LEFT], [LEFT], [LEFT], [NEAR]], [LEFT]),
        ([[LEFT], [LEFT, RIGHT], [LEFT, RIGHT], [LEFT, RIGHT]], [LEFT, RIGHT]),  # one comes in
        ([[LEFT], [LEFT, RIGHT], [LEFT, RIGHT], [LEFT]], [LEFT, RIGHT]),  # one is missed in two
        ([[LEFT, RIGHT], [LEFT], [LEFT], [LEFT]], [LEFT]),  # one passes by
        ([[LEFT], [RIGHT], [RIGHT], [RIGHT]], [RIGHT]),
        ([[], [LEFT], [LEFT], [LEFT]], [LEFT]),
        ([[LEFT]], [LEFT]),
        ([[], [], [], []], []),
        ([], []),
    ],
)
def test_faces_are_looked_for_in_each_frame_and_the_steady_ones_stay(faces: list[list[Box]], people: list[Box]) -> None:
    seen: list[int] = []

    def found_in(frame: Frame) -> list[Box]:
        seen.append(int(frame[0, 0, 0]))
        return faces[seen[-1]]

    found = in_each(found_in, [np.full((1, 1, 3), number, np.uint8) for number in range(len(faces))])
    assert sorted(seen) == list(range(len(faces)))
    assert found == faces
    assert [track[0] for track in steady(found)] == people
