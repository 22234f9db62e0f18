"""Several faces through some frames: in how many frames they are looked for, and which of them stay."""

import numpy as np
import pytest

from gunileo.vision import face_tracks
from gunileo.vision.box import Box
from gunileo.vision.face_tracks import in_ends_first, steady
from gunileo.vision.video import Frame

LEFT, NEAR, RIGHT = Box(50, 50, 40, 0), Box(60, 50, 40, 0), Box(200, 50, 40, 0)


@pytest.fixture(params=[1, 2])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one core, and with a second thread."""
    monkeypatch.setattr(face_tracks, "usable_cores", lambda: request.param)


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize(
    ("faces", "looked", "people"),
    [
        ([[LEFT], [LEFT], [LEFT], [NEAR]], 2, [LEFT]),
        ([[LEFT], [LEFT, RIGHT], [LEFT, RIGHT], [LEFT, RIGHT]], 4, [LEFT, RIGHT]),  # one comes in
        ([[LEFT, RIGHT], [LEFT], [LEFT], [LEFT]], 4, [LEFT]),  # one passes by
        ([[LEFT], [RIGHT], [RIGHT], [RIGHT]], 4, [RIGHT]),
        ([[], [LEFT], [LEFT], [LEFT]], 4, [LEFT]),
        ([[LEFT], [LEFT]], 2, [LEFT]),
        ([[LEFT]], 1, [LEFT]),
        ([[], [], [], []], 4, []),
        ([], 0, []),
    ],
)
def test_one_face_in_both_ends_is_taken_for_the_only_one(
    faces: list[list[Box]], looked: int, people: list[Box]
) -> None:
    seen: list[int] = []

    def found_in(frame: Frame) -> list[Box]:
        seen.append(int(frame[0, 0, 0]))
        return faces[seen[-1]]

    found = in_ends_first(found_in, [np.full((1, 1, 3), number, np.uint8) for number in range(len(faces))])
    assert sorted(seen) == ([0, len(faces) - 1] if looked < len(faces) else list(range(len(faces))))
    assert len(found) == looked
    assert [track[0] for track in steady(found)] == people
