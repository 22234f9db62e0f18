"""From frames to mouths: a crop and the shape's measures for each frame, as the face is followed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from gunileo.errors import GunileoError
from gunileo.vision.face import TALKS, Array, Face, FaceTracker, lips_of, movement
from gunileo.vision.mouth_clip import Mouth, MouthClip
from gunileo.vision.mouth_path import MAX_GAP, MouthPath, Watch
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import FPS, LARGE, Frame, VideoError, read_frames
from gunileo.vision.view import View

MIN_FRAMES = 5  # 0.2 s: shorter than any word
LONGEST = 10 * 60 * FPS  # frames; crops are held in memory, and picture libraries refuse much higher pictures

_PATIENCE = 2 * FPS  # frames in which one of several faces moves its mouth; half as many large ones are held
_TO_COUNT = slice(0, MAX_GAP + 1, 4)  # frames by which faces are counted
_ROUND = 3 * FPS  # frames of a file that are followed at once

NO_FACE = (
    "no face found; film one face from the front, in good light; "
    "if it is narrower than an eighth of the picture's longer side, cut that part out"
)


class MouthError(GunileoError):
    """A clip without a face that can be followed."""


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
        cut = "cuts from one person to another, or something covers the face; split it there, or film it again"
        raise MouthError(f"{path}: {complaint or cut}")
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
        self._path = MouthPath(watch, view)
        self._waiting: list[Frame] = []  # those by which the face is picked
        self._picked = False
        self._choices: int | None = None  # faces to pick from, once they are counted
        self._lips: list[Array] = []  # of a face that is in doubt, as they were still yet
        self._fresh = False  # whether a face was picked and not yet looked at

    def push(self, frames: Sequence[Frame]) -> list[Mouth | None]:
        """Take the next frames, RGB; returns the mouths whose places are settled by now."""
        self._waiting += frames
        return self._follow(MAX_GAP)

    def close(self) -> list[Mouth | None]:
        """The mouths of all frames that are left, as no more of this face will come."""
        out = self._follow(0) + self._path.close()
        self._restart()
        return out

    def _restart(self, again: bool = False, before: Array | None = None) -> None:
        self._path, self._picked, self._choices = MouthPath(self._watch, self._view, again, before), False, None

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
