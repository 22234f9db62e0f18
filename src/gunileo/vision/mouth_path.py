"""The way of one mouth through frames: where it is in each, once the frames after it have settled that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gunileo.vision.crop import POSE, RADIUS, crop_at, is_cut, outline, pose_of, smoothed
from gunileo.vision.face import Array, face_box
from gunileo.vision.looks import is_other, jumps, look_of
from gunileo.vision.mouth_clip import Mouth
from gunileo.vision.mouth_shape import MEASURES, measure
from gunileo.vision.video import FPS, Frame
from gunileo.vision.view import View

MAX_GAP = FPS // 2  # frames without a face that are interpolated
_KNOWN = 8  # frames after a cut by which the mesh has settled, so that a face's look is its own

Watch = Callable[[Array | None], None]  # takes the outline of a frame's mouth crop, pixels [4, 2], or None


class MouthPath:
    """Frames waiting until the frames after them have settled where their mouth is."""

    def __init__(
        self, watch: Watch | None, view: View | None, again: bool = False, before: Array | None = None
    ) -> None:
        self._watch, self._view = watch, view
        self.broken = False  # the face was missing for too long; nothing more is taken
        self._again = again  # after such a break; what comes before the first face is a part of it
        self._frames: list[tuple[Frame, bool]] = []  # not yet out, and whether they have no face
        self._found: list[Array] = []  # poses, measures and a view's points, from those kept of frames that are out on
        self._behind = 0  # of these, kept of frames that are out already
        self._gap = 0  # frames at the end without a face
        self._seen: Array | None = None  # the face's look in the last frame
        self._look: Array | None = None  # and its mean over some
        self._looks = 0  # frames since a cut
        self._before = before  # that before a cut, until it is known who comes after it

    @property
    def known(self) -> Array | None:
        """The look of the last face that was seen for long enough to be known; None before there is one."""
        return self._look if self._looks >= _KNOWN else self._before

    def push(self, frame: Frame, landmarks: Array | None) -> list[Mouth | None]:
        """Take a frame, and its mesh if it has one; what is settled by it comes out."""
        self._frames.append((frame, landmarks is None))
        if landmarks is None and self._again and not self._found:
            return self._lost()
        if landmarks is None:
            self._gap += 1
            self.broken = self._gap > MAX_GAP
            return self._settled(0) + self._lost() if self.broken else []
        points = [self._view.points(landmarks)] if self._view else []
        found = np.concatenate([pose_of(landmarks), measure(landmarks), *points])
        cut = self._cut(found, look_of(frame, face_box(landmarks)))
        if self._found:
            last = self._found[-1]
            # Angles go on from the last one, so that a turn past 180 degrees is no jump.
            found[2] = last[2] + np.remainder(found[2] - last[2] + np.pi, 2 * np.pi) - np.pi
            steps = np.arange(1, self._gap + 1)[:, None] / (self._gap + 1)
            self._found.extend((last + steps * (found - last)).astype(np.float32))
        else:
            self._found.extend([found] * self._gap)
        self._found.append(found)
        self._gap = 0
        return cut + self._settled(RADIUS)

    def _cut(self, found: Array, look: Array) -> list[Mouth | None]:
        """The mouths before a frame in which these are found, if there is a cut before it."""
        out: list[Mouth | None] = []
        moved = bool(self._found) and is_cut(self._found[-1][:POSE], found[:POSE], self._gap + 1)
        if moved or (self._seen is not None and jumps(self._seen, look)):
            self._found.extend([self._found[-1]] * self._gap)
            out, self._gap = self._settled(0), 0
            self._found, self._behind = [], 0
            self._before = self.known
            self._look, self._looks = None, 0
        self._seen = look
        self._looks += 1
        self._look = look if self._look is None else 0.75 * self._look + 0.25 * look
        return out

    def close(self) -> list[Mouth | None]:
        """The rest, as no more frames will come."""
        if self._found:
            self._found.extend([self._found[-1]] * self._gap)
        return self._settled(0) + self._lost()

    def _lost(self) -> list[Mouth | None]:
        lost: list[Mouth | None] = [None] * len(self._frames)
        self._frames.clear()
        if self._watch:
            for _ in lost:
                self._watch(None)
        return lost

    def _settled(self, ahead: int) -> list[Mouth | None]:
        """The mouths of frames with so many frames after them."""
        out: list[Mouth | None] = []
        while len(self._found) - self._behind > ahead:
            known = self._found[: self._behind + 1 + RADIUS]
            near = np.concatenate(known).reshape(len(known), -1)  # quicker than ``stack``, as this runs for each frame
            place = smoothed(near[:, :POSE], self._behind)
            other = False
            if self._looks >= _KNOWN and self._before is not None and self._look is not None:
                other, self._before = is_other(self._before, self._look), None
            (frame, hidden), measured = self._frames.pop(0), POSE + MEASURES
            view = self._view.picture(frame, near[:, measured:], self._behind) if self._view else None
            out.append(Mouth(crop_at(frame, place), near[self._behind, POSE:measured], view, other, hidden))
            if self._watch:
                self._watch(outline(place))
            if self._behind == RADIUS:
                self._found.pop(0)
            else:
                self._behind += 1
        return out
