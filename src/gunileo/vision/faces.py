"""Every face of a video, by the place that it keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from math import hypot, inf

import numpy as np

from gunileo.vision.box import Box, same_place
from gunileo.vision.detector import faces_in
from gunileo.vision.face import Array, FaceTracker
from gunileo.vision.looks import look_of
from gunileo.vision.mouth import NO_FACE, MouthError
from gunileo.vision.video import FPS, Frame, VideoError

_STEP = FPS // 5  # frames from one look to the next: in 0.2 s a face goes on by less than half of its size
_LEAST = 5  # looks in which a face is seen, and a fiftieth of the steadiest one's; less passes by, or is none
_GAP = 3 * FPS // _STEP  # looks for which a face may be behind another and come out again elsewhere
# Mean difference of looks. One person of GRID differs by up to 27 in a clip and 36 between clips, half of all pairs of
# two people by over 32.
_ALIKE = 35.0


@dataclass
class _Track:
    """One person: where they were last and first, and what they look like."""

    first: Box
    last: Box
    look: Array  # [8, 8, 3]
    seen: int  # number of the look
    places: list[float]  # x
    speed: tuple[float, float] = (0.0, 0.0)  # pixels a look


def find_faces(frames: Iterable[Frame], file: str) -> dict[str, Box]:
    """The faces in the frames of a video: the name of each and its first place, from left to right.

    Faces are followed as they move. If people pass in front of each other, they are recognised by their looks. Two
    faces are named "left" and "right", three "left", "middle" and "right", more "face1", "face2", ... The name of a
    single face is empty. Give a place to ``Reader.transcribe`` to read that face. Raises ``MouthError``, naming
    ``file``, if there is no face. If a video is damaged, the frames that can be decoded are used;
    ``VideoError`` if there is no face in these. Frames are RGB, uint8 [height, width, 3], at 25 a second. Places are in
    their pixels.
    """
    tracks: list[_Track] = []
    small_faces_in = FaceTracker().small_faces_in
    try:
        for number, frame in enumerate(islice(frames, 0, None, _STEP)):
            found = faces_in(frame) or small_faces_in(frame)
            _follow(tracks, [(box, look_of(frame, box)) for box in found], number)
    except VideoError:
        if not tracks:
            raise
    most = max((len(track.places) for track in tracks), default=0)
    steady = [track for track in tracks if len(track.places) >= min(most, max(_LEAST, most / 50))]
    if not steady:
        raise MouthError(f"{file}: {NO_FACE}")
    steady.sort(key=lambda track: float(np.median(track.places)))
    numbered = [f"face{number}" for number in range(1, len(steady) + 1)]
    names = {1: [""], 2: ["left", "right"], 3: ["left", "middle", "right"]}.get(len(steady), numbered)
    return {name: track.first for name, track in zip(names, steady, strict=True)}


def _follow(tracks: list[_Track], faces: list[tuple[Box, Array]], number: int) -> None:
    """Add each of a look's faces to the track that it fits best, or begin a new one with it."""
    costs = [(_cost(track, *face, number), t, f) for t, track in enumerate(tracks) for f, face in enumerate(faces)]
    taken: set[int] = set()
    for cost, t, f in sorted(costs):
        if cost == inf or f in taken or tracks[t].seen == number:
            continue
        taken.add(f)
        track, (box, look) = tracks[t], faces[f]
        steps = number - track.seen
        track.speed = ((box.x - track.last.x) / steps, (box.y - track.last.y) / steps)
        track.last, track.seen, track.look = box, number, 0.8 * track.look + 0.2 * look
        track.places.append(box.x)
    new = [face for f, face in enumerate(faces) if f not in taken]
    tracks += [_Track(box, box, look, number, [box.x]) for box, look in new]


def _cost(track: _Track, box: Box, look: Array, number: int) -> float:
    """How badly a face fits a track, infinite if it is another's: how far it is from where that was or would be by now,
    in face sizes, and how unlike."""
    last, missed = track.last, number - track.seen
    alike = float(np.abs(track.look - look).mean()) / _ALIKE
    side = max(last.side, box.side)
    by_now = hypot(last.x + missed * track.speed[0] - box.x, last.y + missed * track.speed[1] - box.y) / side
    far = min(hypot(last.x - box.x, last.y - box.y) / side, by_now)
    near = same_place(last, box)
    comes_out = 1 < missed <= _GAP and alike < 1 and 0.5 < last.side / box.side < 2 and far < missed / 2
    return far + alike if near or comes_out else inf
