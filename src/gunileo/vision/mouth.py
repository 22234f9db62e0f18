"""From frames to mouths: a crop and the shape's measures for each frame, as the face is followed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gunileo.errors import GunileoError
from gunileo.vision.crop import POSE, RADIUS, Crops, crop_at, is_cut, outline, pose_of, smoothed
from gunileo.vision.face import TALKS, Array, Face, FaceTracker, face_box, lips_of, movement
from gunileo.vision.looks import is_other, jumps, look_of
from gunileo.vision.mouth_shape import MEASURES, features, measure
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import FPS, LARGE, Frame, VideoError, read_frames

MIN_FRAMES = 5  # 0.2 s: shorter than any word
LONGEST = 10 * 60 * FPS  # frames; crops are held in memory, and picture libraries refuse much higher pictures

_KNOWN = 8  # frames after a cut by which the mesh has settled, so that a face's look is its own
_MAX_GAP = FPS // 2  # frames without a face that are interpolated
_PATIENCE = 2 * FPS  # frames in which one of several faces moves its mouth; half as many large ones are held
_TO_COUNT = slice(0, _MAX_GAP + 1, 4)  # frames by which faces are counted
_ROUND = 3 * FPS  # frames of a file that are followed at once

NO_FACE = (
    "no face found; film one face from the front, in good light; "
    "if it is narrower than an eighth of the picture's longer side, cut that part out"
)
Watch = Callable[[Array | None], None]  # takes the outline of a frame's mouth crop, pixels [4, 2], or None


class MouthError(GunileoError):
    """A clip without a face that can be followed."""


class View(Protocol):
    """Another picture of the mouth than the crop, for networks that take one. It can be pickled."""

    def points(self, landmarks: Array) -> Array:
        """What has to be known of a frame, from its mesh [468, 3]: float32 [K].

        Frames without a face get what lies between their neighbours'.
        """
        ...

    def picture(self, frame: Frame, near: Array, at: int) -> NDArray[np.uint8]:
        """The picture of a frame, the same size for each, from the ``points`` of up to ``RADIUS`` frames before and
        after it, [n, K], of which its own are those at index ``at``."""
        ...

    def inputs(self, pictures: NDArray[np.uint8]) -> dict[str, Array]:
        """What a network takes of a clip's pictures [T, ...], by its inputs' names, each with a batch of one."""
        ...


class Mouth(NamedTuple):
    """One frame: the crop, uint8 [100, 150], and the shape's measures, float32 [23] (``mouth_shape.measure``).

    ``view`` is the picture of a ``View``, if the tracker has one. ``other`` says that it is another person's first one,
    ``hidden`` that no face was found, so that it comes from those before and after.
    """

    crop: Crops
    measures: Array
    view: NDArray[np.uint8] | None = None
    other: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class MouthClip:
    """The frames of a clip, 25 a second: crops, uint8 [T, 100, 150], and measures of the shape, float32 [T, 23].

    Measures are in pixels and square pixels, as ``gunileo.vision.mouth_shape.measure`` gives them.
    ``views`` are the pictures of a ``View``, uint8 [T, ...], if one was given.
    """

    crops: Crops
    measures: Array
    views: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, mouths: Sequence[Mouth]) -> MouthClip:
        """The clip of these frames. There has to be at least one."""
        views = [mouth.view for mouth in mouths if mouth.view is not None]
        return cls(
            np.stack([mouth.crop for mouth in mouths]),
            np.stack([mouth.measures for mouth in mouths]),
            np.stack(views) if views else None,
        )

    @classmethod
    def joined(cls, clips: Sequence[MouthClip]) -> MouthClip:
        """Several clips, one after the other, as one clip; all with the pictures of a ``View`` or none."""
        views = [clip.views for clip in clips if clip.views is not None]
        return cls(
            np.concatenate([clip.crops for clip in clips]),
            np.concatenate([clip.measures for clip in clips]),
            np.concatenate(views) if views else None,
        )

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, frames: slice | NDArray[np.integer]) -> MouthClip:
        """Some of the frames, in their order or any other."""
        return MouthClip(self.crops[frames], self.measures[frames], None if self.views is None else self.views[frames])

    def shape(self) -> Array:
        """The shape as a network takes it, float32 [T, 12] (``mouth_shape.features``)."""
        return features(self.measures)


def read_mouth(path: Path | str, view: View | None = None) -> MouthClip:
    """The mouth in a video file, at 25 frames a second, from the first frame with a face to the last. If a ``view`` is
    given, its pictures are added.

    Raises ``VideoError`` if the file cannot be decoded. Raises ``MouthError`` if it is shorter than 0.2 s or longer
    than ten minutes, or if the face is lost for more than half a second in between. Both name the file.
    """
    return read_stretch(path, view=view)[0]


def read_stretch(path: Path | str, rate: float = FPS, view: View | None = None) -> tuple[MouthClip, float]:
    """As ``read_mouth``, and when its first frame is shown: seconds of a player's clock. ``rate`` is of numbered
    pictures."""
    timeline = Timeline()
    mouths = list(islice(mouth_stream(read_frames(path, timeline, rate), at_once=1, view=view), LONGEST + 1))
    if len(mouths) > LONGEST:
        raise MouthError(f"{path}: over {LONGEST // FPS // 60} minutes long; cut it into sentences")
    seen = stretches(mouths)
    if len(seen) != 1:
        complaint = unreadable(len(mouths), sum(mouth is not None for mouth in mouths))
        raise MouthError(f"{path}: {complaint or 'cuts from one person to another; split it into a clip for each'}")
    start, own = seen[0]
    return MouthClip.of(own), timeline.seconds(start / FPS)


def clip_mouths(frames: Iterable[Frame], view: View | None = None) -> Iterator[Mouth]:
    """The mouth in each RGB frame of a clip, by a ``MouthTracker``, in a single thread.

    Raises ``MouthError``, after the last frame, if there are fewer than five frames or the face is missing
    for over half a second, with the share of frames in which it was found.
    """
    total = found = 0
    for mouth in mouth_stream(frames, at_once=1, view=view):
        total += 1
        if mouth is not None:
            found += 1
            if found == total:
                yield mouth
    if complaint := unreadable(total, found):
        raise MouthError(complaint)


def unreadable(total: int, found: int) -> str:
    """Why a clip of so many frames, with a face in so many of them, can't be read as one; nothing if it can."""
    if total < MIN_FRAMES:
        return f"only {total} frame(s) long; at least {MIN_FRAMES} (0.2 s) are needed to read lips"
    if not found:
        return NO_FACE
    if found < total:
        share = f"face found in {found} of {total} frames ({found / total:.0%})"
        return f"{share}; film one face from the front, in good light, without long breaks"
    return ""


def stretches(mouths: Sequence[Mouth | None]) -> list[tuple[int, list[Mouth]]]:
    """The frames that follow each other with one person's face in each, where there are five at least: the first's
    number, and their mouths."""
    found: list[tuple[int, list[Mouth]]] = []
    for number, mouth in enumerate(mouths):
        if mouth is not None:
            if number == 0 or mouths[number - 1] is None or mouth.other:
                found.append((number, []))
            found[-1][1].append(mouth)
    return [(start, own) for start, own in found if len(own) >= MIN_FRAMES]


def mouth_stream(
    frames: Iterable[Frame],
    face: Face = "largest",
    watch: Watch | None = None,
    at_once: int | None = None,
    view: View | None = None,
) -> Iterator[Mouth | None]:
    """As ``clip_mouths``, but of any length, with None for each frame that has no face.

    Of several faces ``face`` is followed; ``watch`` is told each frame's outline before its mouth comes out. Frames
    are followed so many ``at_once``, on two cores, but for large ones.
    Mouths have the pictures of the ``view``, if one is given.
    Raises what ``frames`` does, after the mouths of all frames before.
    """
    mouths = MouthTracker(face, watch, view)
    at_once = at_once or _ROUND
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
    """The mouths in a stream of frames that are pushed as they come: one a frame, about half a second later.

    Follows the largest face that is steady in half a second, or the one that is asked for. Of several the largest is
    that of those whose mouths move in two seconds (in one, if frames are large), for which it waits. While none moves,
    it picks again. If the mouths of large faces are still, it looks for small faces, too. The crop is turned along the
    line of the eyes, scaled by their distance and centred on the mouth. It follows the head at once, and the mouth's
    place in the face slowly. Gaps of up to half a second are interpolated. A face that is missing for longer is lost:
    None stands for the frames without it, and the next one that comes is followed. At most a second of frames is held
    beside those that are pushed, or two seconds where there are several faces.
    """

    def __init__(self, face: Face = "largest", watch: Watch | None = None, view: View | None = None) -> None:
        self._faces = FaceTracker(face)
        self._watch, self._view = watch, view
        self._path = _Path(watch, view)
        self._waiting: list[Frame] = []  # those by which the face is picked
        self._picked = False
        self._choices: int | None = None  # faces to pick from, once they are counted
        self._lips: list[Array] = []  # of a face that is in doubt, as they were still yet
        self._fresh = False  # whether a face was picked and not yet looked at

    def push(self, frames: Sequence[Frame]) -> list[Mouth | None]:
        """Take the next frames, RGB; returns the mouths whose places are settled by now."""
        self._waiting += frames
        return self._follow(_MAX_GAP)

    def close(self) -> list[Mouth | None]:
        """The mouths of all frames that are left, as no more of this face will come."""
        out = self._follow(0) + self._path.close()
        self._restart()
        return out

    def _restart(self, again: bool = False, before: Array | None = None) -> None:
        self._path, self._picked, self._choices = _Path(self._watch, self._view, again, before), False, None

    def _follow(self, fewest: int) -> list[Mouth | None]:
        """Follow the frames that wait, if there are more than the ``fewest`` by which a face is picked."""
        out: list[Mouth | None] = []
        while len(self._waiting) > (0 if self._picked else fewest):
            if not self._picked and not self._pick(fewest):
                break
            frames, self._waiting = self._waiting, []
            for done, landmarks in enumerate(self._talkers(frames), 1):
                out += self._path.push(frames[done - 1], landmarks)
                if self._path.broken:
                    self._restart(again=True, before=self._path.known)
                elif self._is_silent(frames[0], landmarks):
                    out += self._path.close()
                    self._restart(before=self._path.known)
                else:
                    continue
                self._waiting = frames[done:]
                break
        return out

    def _pick(self, fewest: int) -> bool:
        """Pick a face of those in the frames that wait; False if more have to come first."""
        if self._choices is None:
            self._choices = self._faces.count(self._waiting[_TO_COUNT])
        patience = _patience(self._waiting[0])
        if fewest and self._choices > 1 and len(self._waiting) < patience:
            return False
        self._faces.start(self._waiting[:patience])
        self._lips, self._picked, self._fresh = [], True, True
        return True

    def _talkers(self, frames: list[Frame]) -> Iterable[Array | None]:
        """The landmarks in each frame. There are none, and the frames wait, if a small face may be the talker's."""
        found, fresh = self._faces(frames), self._fresh
        self._fresh = False
        if not fresh or not self._faces.doubtful:
            return found
        ahead, lips = [], []
        for landmarks in found:
            ahead.append(landmarks)
            lips += [] if landmarks is None else [lips_of(landmarks)]
            if len(ahead) % 4 == 0 and movement(lips) >= TALKS:
                self._faces.doubtful = False
                return chain(ahead, found)
        if small := self._faces.count_small(frames[_TO_COUNT]):
            self._choices, self._picked, self._waiting = (self._choices or 0) + small, False, frames
            return []
        return ahead

    def _is_silent(self, frame: Frame, landmarks: Array | None) -> bool:
        """Whether no mouth of several has moved for so long that the face is picked again."""
        if not self._faces.doubtful or self._choices == 1:
            return False
        self._lips += [] if landmarks is None else [lips_of(landmarks)]
        if movement(self._lips) >= TALKS:
            self._faces.doubtful = False
            return False
        return len(self._lips) >= _patience(frame)


def _patience(frame: Frame) -> int:
    """Frames in which one of several faces moves its mouth."""
    return _PATIENCE // 2 if frame.nbytes > LARGE else _PATIENCE


class _Path:
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
            self.broken = self._gap > _MAX_GAP
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
