"""Several faces through some frames, each by the place that it keeps, and the one of them that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gunileo.util.aside import Aside
from gunileo.util.cores import usable_cores
from gunileo.vision.box import Box, same_place
from gunileo.vision.video import Frame

Track = list[Box]  # one face's boxes, from the first on


def in_each(found_in: Callable[[Frame], list[Box]], frames: Sequence[Frame]) -> list[list[Box]]:
    """The faces in each frame. Where there are two cores, another thread looks at half of them."""
    if usable_cores() == 1:
        return [found_in(frame) for frame in frames]
    half = len(frames) // 2
    with Aside() as thread:
        first = thread.call(lambda: [found_in(frame) for frame in frames[:half]])
        second = [found_in(frame) for frame in frames[half:]]
        return first.result() + second


def _follow(tracks: list[Track], boxes: list[Box]) -> None:
    """Add each of a frame's faces to the track that was seen last in its place, or begin a new one with it."""
    for box in boxes:
        near = next((track for track in tracks if same_place(track[-1], box)), None)
        if near is None:
            tracks.append([box])
        else:
            near.append(box)


def steady(found: Iterable[list[Box]]) -> list[Track]:
    """The faces of some frames, followed; those that are seen in half as many frames as the steadiest, or more."""
    tracks: list[Track] = []
    for boxes in found:
        _follow(tracks, boxes)
    most = max(map(len, tracks), default=0)
    return [track for track in tracks if len(track) >= most / 2]


def picked(face: str, tracks: list[Track]) -> Track:
    """The outermost track, or the largest, steadiness counting as much as size."""
    if face == "largest":
        return max(tracks, key=lambda track: sum(box.side**2 for box in track), default=[])
    outermost = min if face == "left" else max
    return outermost(tracks, key=lambda track: track[0].x, default=[])
