"""Every face of a video, by the place that it keeps."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

from gunileo.vision.face import Box, FaceTracker, follow
from gunileo.vision.mouth import MouthError
from gunileo.vision.video import FPS, Frame, VideoError

_STEP = FPS // 5  # frames from one look to the next: in 0.2 s a face goes on by less than half of its size
_LEAST = 5  # looks in which a face is seen, and a fiftieth of the steadiest one's; less passes by, or is none


def find_faces(frames: Iterable[Frame], file: str) -> dict[str, Box]:
    """Where each face in the frames of ``read_frames`` is first, from left to right, by a name of its place.

    A face is what stays in a place or moves on from it. Two are "left" and "right", three "left", "middle" and
    "right", more "face1", "face2", ...; the name of a single one is empty. ``Reader.transcribe`` reads the one that
    it is given. Raises ``MouthError``, naming ``file``, if there is none; of a damaged video all that can be decoded
    is looked at.
    """
    tracks: list[list[Box]] = []
    looks = FaceTracker()
    try:
        for frame in islice(frames, 0, None, _STEP):
            follow(tracks, looks.detect(frame))
    except VideoError:
        if not tracks:
            raise
    most = max(map(len, tracks), default=0)
    steady = [track for track in tracks if len(track) >= min(most, max(_LEAST, most / 50))]
    if not steady:
        raise MouthError(f"{file}: no face found; film one from the front, in good light")
    steady.sort(key=lambda track: float(np.median([box.x for box in track])))
    numbered = [f"face{number}" for number in range(1, len(steady) + 1)]
    names = {1: [""], 2: ["left", "right"], 3: ["left", "middle", "right"]}.get(len(steady), numbered)
    return {name: track[0] for name, track in zip(names, steady, strict=True)}
