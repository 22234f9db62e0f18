"""Faces in frames: MediaPipe's short-range detector and 468-point face mesh with refined lips, run by ONNX Runtime.

Models: V. Bazarevsky et al., "BlazeFace: Sub-millisecond neural face detection on mobile GPUs" (2019);
Y. Kartynnik et al., "Real-time facial surface geometry from monocular video on mobile GPUs" (2019); I. Grishchenko
et al., "Attention mesh: high-fidelity face mesh prediction in real-time" (2020), of which the lips are taken. The way
from a box to a crop and from one frame's landmarks to the next frame's crop is that of MediaPipe 0.10.21's
face_landmark graphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from itertools import islice
from math import atan2, cos, hypot, sin
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.util import onnx
from gunileo.util.cores import usable_cores
from gunileo.vision.box import Box, same_place
from gunileo.vision.image import warped
from gunileo.vision.looks import is_other, look_of
from gunileo.vision.mouth_shape import INNER_LIPS
from gunileo.vision.video import FPS, Frame

Array = NDArray[np.float32]

MESH = "face_landmark_with_attention.onnx"
RIGHT_EYE, LEFT_EYE = 33, 263  # outer corners, the person's right and left
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)  # outer contour

_MOUTH = np.array([*LIPS, *INNER_LIPS])
_MIN_LOGIT = 0.0  # a probability of one half, MediaPipe's default for both models
_DETECTOR_SIDE, _MESH_SIDE = 128, 192  # pixels
_CROP_SCALE = 1.5  # crop side / face side
# Frames looked at; each takes half of what is left from another start, down to what the pixels' rounding makes.
_RUN_UP = 4
_PART = 8  # frames that the second thread hands over at once
# Of the liveliest mouth's movement; less is a picture's or a listener's. A still face seen small trembles a little.
_STILL = 1 / 3
_SETTLING = 2  # further looks at the frame in which a face is found
# Of a face's side a frame: where lips move by less, as in half of all frames, every second frame is enough.
_CALM = 0.004
_LOOK_KEPT = 0.9  # of a face's look, when a frame is added to it
_OUT = 0.2  # of half a face, a frame: how fast one that is hidden may go on
_HIDDEN = 3 * FPS  # frames that one is waited for by its look; then whoever is in its place is followed, as after a cut
_SEAM = 1 / 192  # of a crop's side: how far two crops of one frame may differ to be taken for the same


# Which of several faces: the largest whose mouth moves, the one farthest left or right, or the one at a place.
Face = Literal["largest", "left", "right"] | Box


class _Model:
    """One face model, from a picture, uint8 [S, S, 3], to its two outputs; any thread may call it.

    A call keeps to the thread that makes it, as it takes about a millisecond.
    """

    def __init__(self, name: str):
        content = (files("gunileo.vision") / "landmarks" / name).read_bytes()
        self._session = onnx.session(content, threads=1)

    def __call__(self, picture: NDArray[np.uint8]) -> tuple[Array, Array]:
        first, second = self._session.run(None, {"picture": picture[None]})
        return np.asarray(first, np.float32)[0], np.asarray(second, np.float32)[0]


@cache
def _models() -> tuple[_Model, _Model]:
    """The detector and the mesh."""
    return _Model("face_detection_short_range.onnx"), _Model(MESH)


@cache
def _anchors() -> Array:
    """The detector's 896 anchor centres, [896, 2] in 0-1: two a cell of 16x16, then six a cell of 8x8."""
    centres = []
    for cells, repeat in ((16, 2), (8, 6)):
        y, x = np.divmod(np.arange(cells * cells), cells)
        centres.append(np.repeat(np.stack([x, y], 1), repeat, axis=0) / cells + 0.5 / cells)
    return np.concatenate(centres).astype(np.float32)


class _Place(NamedTuple):
    """How far a face is followed."""

    crop: Box | None = None  # where the mesh looks next
    seen: Box | None = None  # where the face was last
    look: Array | None = None  # what it looks like, where it is one of several
    missed: int = 0  # frames since then


_Step = tuple[Array | None, _Place]  # a frame's landmarks and the place that they leave


class FaceTracker:
    """Follows one face through the frames of a video.

    ``start`` picks the face; each call then takes the frames that follow. A face that is lost is looked for again
    near where it was, so that another person in the picture is never taken for it. One of several faces is known by
    its look, too: it may be hidden by another that passes in front of it, for up to three seconds.
    """

    def __init__(self, face: Face = "largest") -> None:
        _models()  # a damaged installation is told before the first frame
        self._face = face
        self._place = _Place()
        self._tracks: list[list[Box]] = []
        self._several = isinstance(face, Box)  # which is given where there are several

    def count(self, frames: Sequence[Frame]) -> int:
        """How many faces there are to choose from in ``frames``; ``start`` then picks one of them."""
        self._tracks = []
        with ThreadPoolExecutor(min(2, usable_cores())) as pool:
            for boxes in pool.map(self.detect, frames):
                follow(self._tracks, boxes)
        most = max(map(len, self._tracks), default=0)
        self._tracks = [track for track in self._tracks if len(track) >= most / 2]
        self._several |= len(self._tracks) > 1
        return len(self._tracks)

    def start(self, frames: Sequence[Frame]) -> None:
        """Pick the face that is wanted of those that were counted, by how their mouths move in ``frames``; if there is
        none, the first to come. A face at a place is waited for there, or where it was last. The one farthest left or
        right stays the same person if that one is among them.
        """
        if isinstance(self._face, Box):
            self._place = self._place._replace(crop=None, seen=self._place.seen or self._face)
        else:
            same = [track for track in self._tracks if self._looks_as_before(frames, track[0])]
            picked = self._pick(frames, self._face, same or self._tracks)
            self._place = _Place(None, picked[0] if picked else None, self._place.look if same else None)

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
        with ThreadPoolExecutor(1) as pool:
            begun = self._place
            run_up = pool.submit(self._run_up, frames[middle - _RUN_UP : middle], begun)
            second = pool.submit(lambda: self._spared(frames[middle:], run_up.result()))
            # In parts, so that the caller can begin with the first while the thread goes on.
            parts = [
                pool.submit(lambda: list(islice(second.result(), _PART))) for _ in range(middle, len(frames), _PART)
            ]
            yield from self._kept(self._spared(frames[:middle], begun))
            if same := _same_crop(run_up.result().crop, self._place.crop):
                for part in parts:
                    yield from self._kept(part.result())
            pool.shutdown(cancel_futures=True)
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
        if place.missed >= _HIDDEN:
            place = place._replace(look=None)
        landmarks = self._landmarks(frame, place.crop) if place.crop else None
        if landmarks is None or _is_other(frame, landmarks, place.look):
            landmarks = self._found_again(frame, place)
        if landmarks is None:
            return None, place._replace(crop=None, missed=place.missed + 1)
        look = look_of(frame, face_box(landmarks)) if self._several else None
        if look is not None and place.look is not None:
            look = _LOOK_KEPT * place.look + (1 - _LOOK_KEPT) * look
        return landmarks, _place_of(landmarks, look)

    def _found_again(self, frame: Frame, place: _Place) -> Array | None:
        """The landmarks of the face as the detector finds it: the largest one near its place that looks like it."""
        for box in self._near(frame, place):
            landmarks = self._settled(frame, _widened(box))
            if landmarks is not None and not _is_other(frame, landmarks, place.look):
                return landmarks
        return None

    def _settled(self, frame: Frame, crop: Box) -> Array | None:
        """The landmarks by a crop that comes from landmarks itself, as all further frames' do: another one, as the
        detector's, moves the lips by a pixel, which would look like a movement when the next frame comes."""
        landmarks = self._landmarks(frame, crop)
        for _ in range(_SETTLING):
            if landmarks is not None:
                landmarks = self._landmarks(frame, _widened(face_box(landmarks)))
        return landmarks

    def detect(self, frame: Frame) -> list[Box]:
        """Every face in a frame, without overlaps, best first."""
        height, width = frame.shape[:2]
        scale = max(height, width) / _DETECTOR_SIDE
        to_image = np.array(
            [[scale, 0, (width - scale * _DETECTOR_SIDE) / 2], [0, scale, (height - scale * _DETECTOR_SIDE) / 2]]
        )
        detector, _ = _models()
        regressors, scores = detector(warped(frame, to_image, (_DETECTOR_SIDE, _DETECTOR_SIDE)))
        sure = np.flatnonzero(scores[:, 0] > _MIN_LOGIT)
        boxes: list[Box] = []
        for i in sure[np.argsort(-scores[sure, 0])]:
            points = regressors[i].reshape(8, 2) / _DETECTOR_SIDE  # centre, size, then six key points
            points[[0, 2, 3, 4, 5, 6, 7]] += _anchors()[i]
            pixels = points * _DETECTOR_SIDE * scale + to_image[:, 2]
            right, left = pixels[2], pixels[3]
            angle = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
            side = float(points[1].max() * _DETECTOR_SIDE * scale)
            box = Box(float(pixels[0, 0]), float(pixels[0, 1]), side, angle)
            if not any(same_place(box, other) for other in boxes):
                boxes.append(box)
        return boxes

    def _near(self, frame: Frame, place: _Place) -> list[Box]:
        """The faces in a frame that may be the one followed, the largest first; a known one may come out elsewhere."""
        boxes = self.detect(frame)
        if place.seen is not None:
            further = 1 if place.look is None else 1 + _OUT * place.missed
            boxes = [box for box in boxes if same_place(place.seen, box, further)]
        return sorted(boxes, key=lambda box: box.side, reverse=True)

    def _pick(self, frames: Sequence[Frame], face: str, tracks: list[list[Box]]) -> list[Box]:
        """The outermost track, or of those whose mouth moves the largest, steadiness counting as much as size."""
        if face != "largest":
            outermost = min if face == "left" else max
            return outermost(tracks, key=lambda track: track[0].x, default=[])
        moving = tracks
        if len(moving) > 1:
            moved = [self._movement(frames[::2], track[0]) for track in tracks]
            moving = [track for track, by in zip(tracks, moved, strict=True) if by >= _STILL * max(moved)]
        return max(moving, key=lambda track: sum(box.side**2 for box in track), default=[])

    def _looks_as_before(self, frames: Sequence[Frame], face: Box) -> bool:
        """Whether the face that comes to a place in ``frames`` is the one that was followed last."""
        look = self._place.look
        if look is None or self._face == "largest":
            return False
        found = ((frame, self._settled(frame, _widened(face))) for frame in frames[::4])
        return any(landmarks is not None and not _is_other(frame, landmarks, look) for frame, landmarks in found)

    def _movement(self, frames: Sequence[Frame], face: Box) -> float:
        """How far the lips of a face move in the face, as a part of its size: standard deviation over frames."""
        found = [landmarks for landmarks, _ in self._chain(frames, _Place(None, face)) if landmarks is not None]
        shapes = []
        for landmarks in found:
            box = face_box(landmarks)
            turn = np.array([[cos(box.angle), -sin(box.angle)], [sin(box.angle), cos(box.angle)]])
            lips = landmarks[list(LIPS), :2]
            shapes.append((lips - lips.mean(0)) @ turn / box.side)
        return float(np.std(shapes, axis=0).mean()) if shapes else 0.0

    def _landmarks(self, frame: Frame, crop: Box) -> Array | None:
        scale, half = crop.side / _MESH_SIDE, _MESH_SIDE / 2
        right, down = scale * cos(crop.angle), scale * sin(crop.angle)
        x, y = crop.x - half * (right - down), crop.y - half * (down + right)
        _, find = _models()
        to_frame = np.array([[right, -down, x], [down, right, y]])
        # As the mesh has learnt it: what is outside the picture is like its edge.
        mesh, score = find(warped(frame, to_frame, (_MESH_SIDE, _MESH_SIDE), continued=True))
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


def follow(tracks: list[list[Box]], boxes: list[Box]) -> None:
    """Add each of a frame's faces to the track that was seen last in its place, or begin a new one with it."""
    for box in boxes:
        near = next((track for track in tracks if same_place(track[-1], box)), None)
        if near is None:
            tracks.append([box])
        else:
            near.append(box)


def _place_of(landmarks: Array, look: Array | None) -> _Place:
    seen = face_box(landmarks)
    return _Place(_widened(seen), seen, look)


def _is_other(frame: Frame, landmarks: Array, look: Array | None) -> bool:
    """Whether this face is another than the one with this look, if that is known."""
    return look is not None and is_other(look, look_of(frame, face_box(landmarks)))


def _calm(before: Array | None, after: Array | None, place: _Place, frames: int = 1) -> bool:
    """Whether the lips hardly move from landmarks to those so many frames later, at ``place``."""
    if before is None or after is None or place.seen is None:
        return False
    x, y = (after[_MOUTH, :2] - before[_MOUTH, :2]).T
    return bool(np.hypot(x, y).mean() < _CALM * frames * place.seen.side)


def _between(before: Array | None, after: Array | None, place: _Place) -> Array | None:
    """What lies half-way to the landmarks two frames later, if the lips are calm."""
    if before is None or after is None or not _calm(before, after, place, 2):
        return None
    return np.asarray((before + after) / 2, np.float32)


def _widened(box: Box) -> Box:
    return Box(box.x, box.y, box.side * _CROP_SCALE, box.angle)


def _same_crop(a: Box | None, b: Box | None) -> bool:
    """Whether two crops show the mesh the same, but for less than a pixel."""
    if a is None or b is None:
        return False
    turned = abs(atan2(sin(a.angle - b.angle), cos(a.angle - b.angle))) * a.side / 2
    return max(hypot(a.x - b.x, a.y - b.y), abs(a.side - b.side), turned) < _SEAM * a.side
