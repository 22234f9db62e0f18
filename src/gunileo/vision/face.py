"""A face followed through frames: MediaPipe's 468-point face mesh with refined lips, run by ONNX Runtime.

Models: Y. Kartynnik et al., "Real-time facial surface geometry from monocular video on mobile GPUs" (2019);
I. Grishchenko et al., "Attention mesh: high-fidelity face mesh prediction in real-time" (2020), of which the lips are
taken. The way from a box to a crop and from one frame's landmarks to the next frame's crop is that of MediaPipe
0.10.21's face_landmark graphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from math import atan2, cos, hypot, sin
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.util.aside import Aside
from gunileo.util.cores import usable_cores
from gunileo.vision.box import Box, same_place
from gunileo.vision.detector import Model, detector, faces_in, faces_near, small_faces_in
from gunileo.vision.face_tracks import Track, in_each, picked, steady
from gunileo.vision.image import warped
from gunileo.vision.looks import is_other, look_of
from gunileo.vision.mouth_shape import INNER_LIPS
from gunileo.vision.video import FPS, Frame

Array = NDArray[np.float32]

MESH = "face_landmark_with_attention.onnx"
RIGHT_EYE, LEFT_EYE = 33, 263  # outer corners, the person's right and left
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)  # outer contour

_MOUTH = np.array([*LIPS, *INNER_LIPS])
_MIN_LOGIT = 0.0  # a probability of one half, MediaPipe's default
_MESH_SIDE = 192  # pixels
_CROP_SCALE = 1.5  # crop side / face side
# Frames looked at; each takes half of what is left from another start, down to what the pixels' rounding makes.
_RUN_UP = 4
_PART = 8  # frames that the second thread hands over at once
# Of the liveliest mouth's movement; less is a picture's or a listener's. A still face seen small trembles a little.
_STILL = 1 / 3
# Of a face's side: with less movement nobody talks. A second of GRID's talk has over 0.003, a resting mouth or a still
# picture in grainy light up to 0.0014.
TALKS = 0.002
_SETTLING = 2  # further looks at the frame in which a face is found, and at one that stands
# Of a face's side a frame: where lips move by less, as in half of all frames, every second frame is enough.
_CALM = 0.004
_LOOK_KEPT = 0.9  # of a face's look, when a frame is added to it
_OUT = 0.2  # of half a face, a frame: how fast one that is hidden may go on
_HIDDEN = 3 * FPS  # frames that one is waited for by its look; then whoever is in its place is followed, as after a cut
_SMALL = 1 / 7  # of a frame's longer side: narrower faces are looked for where they were
_SELDOM = FPS  # frames without a face from one look for small ones to the next
_SEAM = 1 / 192  # of a crop's side: how far two crops of one frame may differ to be taken for the same


# Which of several faces: the largest whose mouth moves, the one farthest left or right, or the one at a place.
Face = Literal["largest", "left", "right"] | Box
_FACES = ("largest", "left", "right")


@cache
def _mesh() -> Model:
    return Model(MESH)


class _Place(NamedTuple):
    """How far a face is followed."""

    crop: Box | None = None  # where the mesh looks next
    seen: Box | None = None  # where the face was last
    look: Array | None = None  # what it looks like, where it is one of several
    missed: int = 0  # frames since then
    frame: Frame | None = None  # the last one
    landmarks: Array | None = None  # what was found in it
    stands: int = 0  # frames that are the same as the one before them


_Known = tuple[Array, Array | None]  # a face's landmarks and look
_Step = tuple[Array | None, _Place]  # a frame's landmarks and the place that they leave


class FaceTracker:
    """Follows one face through the frames of a video.

    ``start`` picks the face; each call then takes the frames that follow. A face that is lost is looked for again
    near where it was, so that another person in the picture is never taken for it. One of several faces is known by
    its look, too: it may be hidden by another that passes in front of it, for up to three seconds. ``ValueError`` for
    an unknown ``face``.
    """

    def __init__(self, face: Face = "largest") -> None:
        if not isinstance(face, Box) and face not in _FACES:
            raise ValueError(f"{face!r} names no face; use {', '.join(_FACES)}, or a place that find_faces gave")
        detector(), _mesh()  # a damaged installation is told before the first frame
        self._face = face
        self._place = _Place()
        self._tracks: list[Track] = []
        self._small = False  # whether small faces are among them
        self.doubtful = False  # whether the face may be another than the talker's, as no mouth was seen to move
        self._first: tuple[Frame, list[Box]] | None = None  # of those that were counted, and its faces
        self._several = isinstance(face, Box)  # which is given where there are several

    def count(self, frames: Sequence[Frame]) -> int:
        """How many faces there are to choose from in ``frames``; ``start`` then picks one of them."""
        found = in_each(faces_in, frames)
        if found:
            self._first = frames[0], found[0]
        self._tracks = steady(found)
        self._small = not self._tracks
        if self._small:
            self._tracks = steady(in_each(self.small_faces_in, frames))
        self._several |= len(self._tracks) > 1
        return len(self._tracks)

    def count_small(self, frames: Sequence[Frame]) -> int:
        """How many small faces there are beside those that were counted, of which the talker's is wanted. ``start``
        then picks one of all."""
        if self._small or self._face != "largest":
            return 0
        self._small = True
        known = [track[0] for track in self._tracks]
        if not self.small_faces_in(frames[0], known):  # as nearly always
            return 0
        small = steady(in_each(lambda frame: self.small_faces_in(frame, known), frames))
        self._tracks += small
        self._several |= len(self._tracks) > 1
        return len(small)

    def small_faces_in(self, frame: Frame, beside: Sequence[Box] = ()) -> list[Box]:
        """Faces too small for ``faces_in``, best first, if the mesh finds them, too; ``beside`` larger ones."""
        found = [box for box in small_faces_in(frame) if not any(_covers(other, box) for other in beside)]
        return [box for box in found if self._settled(frame, _widened(box)) is not None]

    def start(self, frames: Sequence[Frame]) -> None:
        """Pick the face that is wanted of those that were counted, by how their mouths move in ``frames``; if there is
        none, the first to come. A face at a place is waited for there, or where it was last. Others stay the same
        person if that one is among them.
        """
        if isinstance(self._face, Box):
            self._place = self._place._replace(crop=None, seen=self._place.seen or self._face)
            return
        same = [track for track in self._tracks if self._looks_as_before(frames, track[0])]
        talkers = self._talkers(frames) if self._face == "largest" and not same else []
        one = picked(self._face, same or talkers or self._tracks)
        self._place = _Place(None, one[0] if one else None, self._place.look if same else None)
        self.doubtful = self._face == "largest" and not same and not talkers

    def __call__(self, frames: Sequence[Frame]) -> Iterator[Array | None]:
        """Landmarks [468, 3] of the face in each frame, in pixels (z in the same scale, towards the camera negative),
        or None. Frames that the caller leaves are not followed.

        Each frame's crop comes from the landmarks of the frame before, but where it began is soon forgotten. So of
        many frames a thread follows the second half meanwhile, from some frames before it on. If it comes to another
        crop than the first half ends with, it is followed again. While the lips are calm, the mesh runs in every
        second one of many frames (``_spared``).
        """
        middle = (len(frames) - _RUN_UP) // 2  # the thread has to follow the frames of its run-up, too
        if middle < 2 * _RUN_UP:
            yield from self._kept(self._chain(frames, self._place))
            return
        if usable_cores() == 1:
            yield from self._kept(self._spared(frames, self._place))
            return
        with Aside() as thread:
            begun = self._place
            run_up = thread.call(lambda: self._run_up(frames[middle - _RUN_UP : middle], begun))
            second = thread.call(lambda: self._spared(frames[middle:], run_up.result()))
            # In parts, so that the caller can begin with the first while the thread goes on.
            parts = [
                thread.call(lambda: list(islice(second.result(), _PART))) for _ in range(middle, len(frames), _PART)
            ]
            yield from self._kept(self._spared(frames[:middle], begun))
            if same := _same(run_up.result(), self._place):
                for part in parts:
                    yield from self._kept(part.result())
        if not same:
            yield from self._kept(self._spared(frames[middle:], self._place))

    def _kept(self, steps: Iterable[_Step]) -> Iterator[Array | None]:
        for landmarks, place in steps:
            self._place = place
            yield landmarks

    def _run_up(self, frames: Sequence[Frame], place: _Place) -> _Place:
        """The place that some frames leave."""
        for _, after in self._chain(frames, place):
            place = after
        return place

    def _chain(self, frames: Sequence[Frame], place: _Place) -> Iterator[_Step]:
        """Each frame's step, from the ``place`` before them on."""
        for frame in frames:
            landmarks, place = self._step(frame, place)
            yield landmarks, place

    def _spared(self, frames: Sequence[Frame], place: _Place) -> Iterator[_Step]:
        """As ``_chain``, but while the lips are calm, the next frame but one is looked at. If they still are there, the
        frame between gets what lies between its neighbours; else it is looked at, too."""
        before: Array | None = None
        calm, at = False, 0
        while at < len(frames):
            further = [self._step(frames[at + 1], place)] if calm and at + 1 < len(frames) else []
            between = _between(before, *further[0]) if further else None
            first = self._step(frames[at], place) if between is None else (between, _place_of(between, place.look))
            steps = [first, *further]
            yield from steps
            earlier = steps[-2][0] if further else before
            before, place = steps[-1]
            calm = between is not None or _calm(earlier, before, place)
            at += len(steps)

    def _step(self, frame: Frame, place: _Place) -> _Step:
        if frame is place.frame and place.stands == _SETTLING:
            return place.landmarks, place
        landmarks, after = self._looked(frame, place)
        stands = place.stands + 1 if frame is place.frame else 0
        return landmarks, after._replace(frame=frame, landmarks=landmarks, stands=stands)

    def _looked(self, frame: Frame, place: _Place) -> _Step:
        if place.missed >= _HIDDEN:
            place = place._replace(look=None)
        known = self._known(frame, self._landmarks(frame, place.crop), place) if place.crop else None
        known = known or self._found_again(frame, place)
        if known is None:
            return None, place._replace(crop=None, missed=place.missed + 1)
        landmarks, look = known
        if look is not None and place.look is not None:
            look = _LOOK_KEPT * place.look + (1 - _LOOK_KEPT) * look
        return landmarks, _place_of(landmarks, look)

    def _known(self, frame: Frame, landmarks: Array | None, place: _Place) -> _Known | None:
        """Landmarks, and where there are several faces the face's look; None if it is another than the one followed."""
        if landmarks is None:
            return None
        look = look_of(frame, face_box(landmarks)) if self._several else None
        return None if look is not None and place.look is not None and is_other(place.look, look) else (landmarks, look)

    def _found_again(self, frame: Frame, place: _Place) -> _Known | None:
        """The face as the detector finds it: the largest one near its place that looks like it."""
        for box in self._near(frame, place):
            if known := self._known(frame, self._settled(frame, _widened(box)), place):
                return known
        return None

    def _settled(self, frame: Frame, crop: Box) -> Array | None:
        """The landmarks by a crop that comes from landmarks itself, as all further frames' do: another one, as the
        detector's, moves the lips by a pixel, which would look like a movement when the next frame comes."""
        landmarks = self._landmarks(frame, crop)
        for _ in range(_SETTLING):
            if landmarks is not None:
                landmarks = self._landmarks(frame, _widened(face_box(landmarks)))
        return landmarks

    def _near(self, frame: Frame, place: _Place) -> list[Box]:
        """The faces in a frame that may be the one followed, the largest first; a known one may come out elsewhere."""
        boxes = self._first[1] if self._first and frame is self._first[0] else faces_in(frame)
        if place.seen is not None:
            boxes = _there(place, boxes)
            if not boxes and place.seen.side < _SMALL * max(frame.shape):
                boxes = _there(place, faces_near(frame, place.seen))
        elif not boxes and place.missed % _SELDOM == _SELDOM - 1:
            boxes = small_faces_in(frame)
        return sorted(boxes, key=lambda box: box.side, reverse=True)

    def _talkers(self, frames: Sequence[Frame]) -> list[Track]:
        """The tracks of several whose mouths move."""
        if len(self._tracks) < 2:
            return []
        moved = [self._movement(frames[::2], track[0]) for track in self._tracks]
        least = max(TALKS, _STILL * max(moved))
        return [track for track, by in zip(self._tracks, moved, strict=True) if by >= least]

    def _looks_as_before(self, frames: Sequence[Frame], face: Box) -> bool:
        """Whether the face that comes to a place in ``frames`` is the one that was followed last."""
        if self._place.look is None or self.doubtful:
            return False
        found = (self._known(frame, self._settled(frame, _widened(face)), self._place) for frame in frames[::4])
        return any(known is not None for known in found)

    def _movement(self, frames: Sequence[Frame], face: Box) -> float:
        steps = self._chain(frames, _Place(None, face))
        return movement([lips_of(landmarks) for landmarks, _ in steps if landmarks is not None])

    def _landmarks(self, frame: Frame, crop: Box) -> Array | None:
        scale, half = crop.side / _MESH_SIDE, _MESH_SIDE / 2
        right, down = scale * cos(crop.angle), scale * sin(crop.angle)
        x, y = crop.x - half * (right - down), crop.y - half * (down + right)
        to_frame = np.array([[right, -down, x], [down, right, y]])
        # As the mesh has learnt it: what is outside the picture is like its edge.
        mesh, score = _mesh()(warped(frame, to_frame, (_MESH_SIDE, _MESH_SIDE), continued=True))
        if score.item() < _MIN_LOGIT:
            return None
        turn = np.array([[right, -down, 0], [down, right, 0], [0, 0, scale]])
        # A row a coordinate in memory, as all that follows goes along these.
        return np.asarray(turn @ mesh.reshape(468, 3).T + [[x], [y], [0]], np.float32).T


def face_box(landmarks: Array) -> Box:
    """The square around all landmarks, turned along the line between the eyes' outer corners."""
    (left, top), (right, bottom) = landmarks[:, :2].min(0).tolist(), landmarks[:, :2].max(0).tolist()
    x, y, _ = (landmarks[LEFT_EYE] - landmarks[RIGHT_EYE]).tolist()
    return Box((left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top), atan2(y, x))


def lips_of(landmarks: Array) -> Array:
    """The lips' outer contour [20, 2], about their centre, upright, as parts of the face's side."""
    box = face_box(landmarks)
    turn = np.array([[cos(box.angle), -sin(box.angle)], [sin(box.angle), cos(box.angle)]])
    lips = landmarks[list(LIPS), :2]
    return np.asarray((lips - lips.mean(0)) @ turn / box.side, np.float32)


def movement(lips: Sequence[Array]) -> float:
    """How far the lips of a face move in it, as a part of its size: their standard deviation over frames."""
    return float(np.std(lips, axis=0).mean()) if len(lips) else 0.0


def _covers(one: Box, other: Box) -> bool:
    return max(abs(one.x - other.x), abs(one.y - other.y)) < one.side / 2


def _place_of(landmarks: Array, look: Array | None) -> _Place:
    seen = face_box(landmarks)
    return _Place(_widened(seen), seen, look)


def _there(place: _Place, boxes: Iterable[Box]) -> list[Box]:
    """The faces that may be the one last seen at a place."""
    assert place.seen
    further = 1 if place.look is None else 1 + _OUT * place.missed
    return [box for box in boxes if same_place(place.seen, box, further)]


def _calm(before: Array | None, after: Array | None, place: _Place, frames: int = 1) -> bool:
    """Whether the lips hardly move from landmarks to those so many frames later, at ``place``."""
    if before is None or after is None or place.seen is None:
        return False
    x, y = (after[_MOUTH, :2] - before[_MOUTH, :2]).T
    return bool(np.hypot(x, y).sum() < _CALM * frames * place.seen.side * len(_MOUTH))


def _between(before: Array | None, after: Array | None, place: _Place) -> Array | None:
    """What lies half-way to the landmarks two frames later, if the lips are calm."""
    if before is None or after is None or not _calm(before, after, place, 2):
        return None
    return np.asarray((before + after) / 2, np.float32)


def _widened(box: Box) -> Box:
    return Box(box.x, box.y, box.side * _CROP_SCALE, box.angle)


def _same(one: _Place, other: _Place) -> bool:
    """Whether two places show the mesh the same, but for less than a pixel, or leave both the same face to be found."""
    a, b = one.crop, other.crop
    if a is None and b is None:
        return one.seen == other.seen and one.look is None and other.look is None
    if a is None or b is None:
        return False
    turned = abs(atan2(sin(a.angle - b.angle), cos(a.angle - b.angle))) * a.side / 2
    return max(hypot(a.x - b.x, a.y - b.y), abs(a.side - b.side), turned) < _SEAM * a.side
