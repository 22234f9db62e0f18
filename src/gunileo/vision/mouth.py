"""From frames to mouth regions: grey, 100x150 pixels, upright, centred and scaled by the face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from math import atan2, ceil, cos, dist, exp, floor, log, sin
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gunileo.errors import GunileoError
from gunileo.vision.face import LEFT_EYE, LIPS, RIGHT_EYE, Array, Face, FaceTracker
from gunileo.vision.image import grey, part, warped
from gunileo.vision.video import FPS, LARGE, Frame, VideoError, read_frames

HEIGHT, WIDTH = 100, 150  # pixels, the input of LabialCNN
MIN_FRAMES = 5  # 0.2 s: shorter than any word
LONGEST = 10 * 60 * FPS  # frames; regions are held in memory, and picture libraries refuse much higher pictures

_LIPS = np.array(LIPS)
_REACH = 1.15  # width of the region / distance of the eyes' outer corners: about 10 cm, nose to chin
_MAX_GAP = FPS // 2  # frames without a face that are interpolated
_ROUND = 3 * FPS  # frames of a file that are followed at once
_RADIUS = 12  # frames on either side that the smoothing looks at
# Standard deviations in frames, of centre x and y, angle and scale. Syllables come at 4-5 a second: the centre follows
# the head, not the lips.
_SMOOTHING = np.array([[3.0], [3.0], [6.0], [8.0]])
# Of a pose between two that were looked at; of one in a gap, so that every frame of it weighs what every second would.
_NO_WEIGHT, _HALF_WEIGHT = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 1, 0.5]], np.float32)
_WEIGHTS = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SMOOTHING) ** 2)  # [4, 25]

Regions = NDArray[np.uint8]  # [frames, 100, 150]
Watch = Callable[[Array | None], None]  # takes the outline of a frame's mouth region, pixels [4, 2], or None


class MouthError(GunileoError):
    """A clip without a face that can be followed."""


def read_regions(path: Path | str) -> Regions:
    """The mouth regions of a video file, uint8 [T, 100, 150] at 25 frames a second.

    Raises ``VideoError`` if the file cannot be decoded, ``MouthError`` if it is shorter than 0.2 s or longer than
    ten minutes or its face is missing for more than half a second; both name the file. Of a longer file no more
    than ten minutes are read.
    """
    try:
        regions = list(islice(mouth_regions(read_frames(path)), LONGEST + 1))
    except MouthError as error:
        raise MouthError(f"{path}: {error}") from None
    if len(regions) > LONGEST:
        raise MouthError(f"{path}: over {LONGEST // FPS // 60} minutes long; cut it into sentences")
    return np.stack(regions)


def normalise(regions: NDArray[np.uint8]) -> Array:
    """Regions [T, 100, 150] as the network takes them: float32, mean 0 and standard deviation 1 over the clip.

    Light and contrast differ more between cameras than between words.
    """
    pixels = regions.astype(np.float32)
    pixels -= pixels.mean()
    flat = pixels.ravel()
    pixels /= np.sqrt(flat @ flat / max(1, flat.size), dtype=np.float32) + 1
    return pixels


def mouth_regions(frames: Iterable[Frame]) -> Iterator[Regions]:
    """One mouth region, uint8 [100, 150], for each RGB frame of a clip, by a ``MouthTracker``, in a single thread.

    Raises ``MouthError``, after the last frame, if there are fewer than five frames or the face is missing
    for over half a second, with the share of frames in which it was found.
    """
    total = found = 0
    for region in mouth_stream(frames, at_once=1):
        total += 1
        if region is not None:
            found += 1
            if found == total:
                yield region
    if complaint := unreadable(total, found):
        raise MouthError(complaint)


def unreadable(total: int, found: int) -> str:
    """Why a clip of so many frames, with a face in so many of them, can't be read as one; nothing if it can."""
    if total < MIN_FRAMES:
        return f"only {total} frame(s) long; at least {MIN_FRAMES} (0.2 s) are needed to read lips"
    if found < total:
        share = f"face found in {found} of {total} frames ({found / total:.0%})" if found else "no face found"
        return f"{share}; film one face from the front, in good light, without breaks over half a second"
    return ""


def mouth_stream(
    frames: Iterable[Frame], face: Face = "largest", watch: Watch | None = None, at_once: int = _ROUND
) -> Iterator[Regions | None]:
    """As ``mouth_regions``, but of any length, with None for each frame that has no face.

    Of several faces ``face`` is followed; ``watch`` is told each frame's outline before its region comes out. Frames
    are followed so many ``at_once``, on two cores, but for large ones.
    Raises what ``frames`` does, after the regions of all frames before.
    """
    mouths = MouthTracker(face, watch)
    some: list[Frame] = []
    try:
        for frame in frames:
            some.append(frame)
            if len(some) == at_once or frame.nbytes > LARGE:
                yield from mouths.push(some)
                some = []
    except VideoError:
        yield from mouths.push(some)
        yield from mouths.close()
        raise
    yield from mouths.push(some)
    yield from mouths.close()


class MouthTracker:
    """Mouth regions of a stream of frames that are pushed as they come: one a frame, about half a second later.

    Follows the largest face that is steady in half a second, or the one that is asked for. The region is turned
    along the line of the eyes, scaled by their distance and centred on the lips, all smoothed over time. Every second
    frame is looked at, and those between where the face comes or goes. Gaps of up to half a second are interpolated.
    A face that is missing for longer is lost: None stands for the frames without it, and the next one that comes is
    followed. At most a second of frames is held beside those that are pushed.
    """

    def __init__(self, face: Face = "largest", watch: Watch | None = None) -> None:
        self._faces = FaceTracker(face)
        self._watch = watch
        self._path = _Path(watch)
        # The first half second, by which the face is picked; from then on a frame that waits for the one after it.
        self._waiting: list[Frame] = []
        self._seen: bool | None = None  # whether the face was in the last frame that was looked at, if one was

    def push(self, frames: Sequence[Frame]) -> list[Regions | None]:
        """Take the next frames, RGB; returns the regions, uint8 [100, 150], whose places are settled by now."""
        self._waiting += frames
        out: list[Regions | None] = []
        while len(self._waiting) > (_MAX_GAP if self._seen is None else 1):
            out += self._follow()
        return out

    def close(self) -> list[Regions | None]:
        """The regions of all frames that are left, as no more of this face will come."""
        out: list[Regions | None] = []
        while len(self._waiting) > (0 if self._seen is None else 1):
            out += self._follow()
        for frame, landmarks in zip(self._waiting, self._faces(self._waiting), strict=True):
            out += self._path.push(frame, None if landmarks is None else _pose(landmarks))
        if not self._path.broken:
            out += self._path.close()
        self._waiting = []
        self._restart()
        return out

    def _restart(self, again: bool = False) -> None:
        self._path, self._seen = _Path(self._watch, again), None

    def _follow(self) -> list[Regions | None]:
        if self._seen is None:
            self._faces.start(self._waiting[: _MAX_GAP + 1 : 4])
        frames, self._waiting = self._waiting, []
        out: list[Regions | None] = []
        done = 0
        for done, pose in enumerate(self._posed(frames), 1):
            out += self._path.push(frames[done - 1], pose)
            if self._path.broken:
                self._restart(again=True)
                break
        self._waiting = frames[done:]
        return out

    def _posed(self, frames: Sequence[Frame]) -> Iterator[Array | None]:
        """The pose of each frame, or None, by looking at every second one; the last waits, if it isn't one of these.

        A frame between two with a face takes what follows, at no weight.
        """
        first = 0 if self._seen is None else 1
        for number, landmarks in zip(range(first, len(frames), 2), self._faces(frames[first::2]), strict=True):
            pose = None if landmarks is None else _pose(landmarks)
            if number and self._seen and pose is not None:
                yield pose * _NO_WEIGHT
            elif number:
                between = self._faces.look(frames[number - 1])
                yield None if between is None else _pose(between)
            self._seen = pose is not None
            yield pose


def _pose(landmarks: Array) -> Array:
    """Where the mouth is: centre x, y, angle in radians, logarithm of pixels in the frame a pixel of region; weight."""
    left, right = landmarks[LEFT_EYE].tolist(), landmarks[RIGHT_EYE].tolist()
    x, y = landmarks[_LIPS, :2].mean(0).tolist()
    # The eyes' distance in three dimensions does not shrink when the head turns.
    scale = dist(left, right) * _REACH / WIDTH
    return np.array([x, y, atan2(left[1] - right[1], left[0] - right[0]), log(scale), 1], np.float32)


class _Path:
    """Frames waiting until the frames after them have settled where their mouth is."""

    def __init__(self, watch: Watch | None, again: bool = False) -> None:
        self._watch = watch
        self.broken = False  # the face was missing for too long; nothing more is taken
        self._again = again  # after such a break; what comes before the first face is a part of it
        self._frames: list[Frame] = []  # not yet out
        self._poses: list[Array] = []  # and their weight, from those kept of frames that are out on
        self._behind = 0  # poses kept of frames that are out already
        self._gap = 0  # frames at the end without a pose

    def push(self, frame: Frame, pose: Array | None) -> list[Regions | None]:
        """Take a frame, and its pose if it has one; what is settled by it comes out."""
        self._frames.append(frame)
        if pose is None and self._again and not self._poses:
            return self._lost()
        if pose is None:
            self._gap += 1
            self.broken = self._gap > _MAX_GAP
            return self._settled(0) + self._lost() if self.broken else []
        if self._poses:
            # Angles go on from the last one, so that a turn past 180 degrees is no jump.
            pose[2] = self._poses[-1][2] + np.remainder(pose[2] - self._poses[-1][2] + np.pi, 2 * np.pi) - np.pi
            steps = np.arange(1, self._gap + 1)[:, None] / (self._gap + 1)
            self._poses.extend((self._poses[-1] + steps * (pose - self._poses[-1])) * _HALF_WEIGHT)
        else:
            self._poses.extend([pose * _HALF_WEIGHT] * self._gap)
        self._poses.append(pose)
        self._gap = 0
        return self._settled(_RADIUS)

    def close(self) -> list[Regions | None]:
        """The rest, as no more frames will come."""
        if self._poses:
            self._poses.extend([self._poses[-1] * _HALF_WEIGHT] * self._gap)
        return self._settled(0) + self._lost()

    def _lost(self) -> list[Regions | None]:
        lost: list[Regions | None] = [None] * len(self._frames)
        self._frames.clear()
        if self._watch:
            for _ in lost:
                self._watch(None)
        return lost

    def _settled(self, ahead: int) -> list[Regions | None]:
        """The regions of frames with poses of so many frames after them."""
        out: list[Regions | None] = []
        while len(self._poses) - self._behind > ahead:
            pose = _smooth(np.stack(self._poses[: self._behind + 1 + _RADIUS]), self._behind)
            out.append(_cut(self._frames.pop(0), pose))
            if self._watch:
                self._watch(_outline(pose))
            if self._behind == _RADIUS:
                self._poses.pop(0)
            else:
                self._behind += 1
        return out


def _smooth(poses: Array, at: int) -> Array:
    """The pose at index ``at`` as Gaussian means over its neighbours and their weights [n, 5]."""
    weights = _WEIGHTS[:, _RADIUS - at : _RADIUS - at + len(poses)] * poses[:, 4]
    return np.asarray((weights * poses[:, :4].T).sum(1) / weights.sum(1), np.float32)


def _outline(pose: Array) -> Array:
    """The region's corners in the frame at a pose, in pixels [4, 2]: top left, top right, bottom right and left."""
    x, y, angle, scale = (float(value) for value in pose)
    turn = np.exp(scale) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.array([WIDTH, HEIGHT]) / 2
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    return np.asarray(corners @ turn.T + (x, y), np.float32)


def _cut(frame: Frame, pose: Array) -> Regions:
    """The grey 100x150 region of a frame at a pose; the frame's edge is continued outwards."""
    x, y, angle, scale = pose.tolist()
    # Where a pixel of the region is over 1.5 of the frame, it is the mean of several: one alone would skip some.
    fine = max(1, ceil(exp(scale) / 1.5))
    right, down = exp(scale) / fine * cos(angle), exp(scale) / fine * sin(angle)
    width, height = WIDTH * fine, HEIGHT * fine
    wide, high = (abs(right) * width + abs(down) * height) / 2, (abs(down) * width + abs(right) * height) / 2
    first = floor(x - wide), floor(y - high)
    piece = part(frame, first, (ceil(x + wide) + 1, ceil(y + high) + 1))
    left = x - first[0] - (right * (width - 1) - down * (height - 1)) / 2
    top = y - first[1] - (down * (width - 1) + right * (height - 1)) / 2
    region = warped(grey(piece), np.array([[right, -down, left], [down, right, top]]), (height, width))
    if fine == 1:
        return region
    parts = [region[row::fine, column::fine] for row in range(fine) for column in range(fine)]
    return np.rint(sum(parts, np.zeros((HEIGHT, WIDTH), np.uint16)) / fine**2).astype(np.uint8)


def contact_sheet(clips: Sequence[tuple[str, Regions]], columns: int = 8) -> Regions:
    """One picture, uint8 [H, W]: a row a clip with its name and ``columns`` regions spread over its length."""
    import cv2  # for its letters

    rows = []
    for name, regions in clips:
        pick = np.linspace(0, len(regions) - 1, columns).round().astype(int)
        label = np.full((18, WIDTH * columns), 255, np.uint8)
        cv2.putText(label, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 0, 1, cv2.LINE_AA)
        rows.append(np.concatenate([label, np.concatenate(list(regions[pick]), axis=1)]))
    return np.concatenate(rows)
