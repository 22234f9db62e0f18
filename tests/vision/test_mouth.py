"""Mouth crops: in the right place, of the right face, steady, and refused where there is none."""

import hashlib
import os
import weakref
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import clips
import cv2
import numpy as np
import pytest
from clips import difference
from numpy.typing import NDArray

from gunileo.util.quiet import quiet
from gunileo.vision import mouth
from gunileo.vision.crop import contact_sheet, normalise
from gunileo.vision.face import LIPS, FaceTracker
from gunileo.vision.mouth import MouthError, clip_mouths, mouth_stream, read_mouth
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import FEATURES, MEASURES
from gunileo.vision.video import read_frames

Pixels = NDArray[np.uint8]
SIDES = (360, 288)  # of the talking clip, width first


def cut(frames: Iterable[Pixels]) -> Pixels:
    return MouthClip.of(list(clip_mouths(frames))).crops


@pytest.fixture(scope="module")
def talk() -> Pixels:
    return clips.talking()[0]


@pytest.fixture(scope="module")
def crops(talk: Pixels) -> Pixels:
    """The crops of the talking clip; not to be written to."""
    return cut(talk)


def likeness(a: Pixels, b: Pixels) -> float:
    """The least correlation of two crops at the same place in time."""
    return min(float(np.corrcoef(one.ravel(), other.ravel())[0, 1]) for one, other in zip(a, b, strict=True))


def shift(a: Pixels, b: Pixels) -> float:
    """By how many pixels the second of two crops is moved."""
    return float(np.hypot(*cv2.phaseCorrelate(a.astype(np.float32), b.astype(np.float32))[0]))


def centre_of(weights: NDArray[np.float64]) -> tuple[float, float]:
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return float((weights * x).sum() / weights.sum()), float((weights * y).sum() / weights.sum())


def centre_of_motion(crops: Pixels) -> tuple[float, float]:
    """Where most changes from frame to frame: the lips."""
    change = cv2.GaussianBlur(np.abs(np.diff(crops.astype(np.float64), axis=0)).mean(0), (0, 0), 3)
    return centre_of(np.where(change > np.percentile(change, 90), change, 0))


def warped(frames: Iterable[Pixels], angle: float = 0, scale: float = 1, x: float = 0) -> list[Pixels]:
    """Frames turned by degrees, scaled, and moved to the right."""
    matrix = cv2.getRotationMatrix2D((SIDES[0] / 2, SIDES[1] / 2), angle, scale)
    matrix[0, 2] += x
    return [cv2.warpAffine(frame, matrix, SIDES, borderMode=cv2.BORDER_REPLICATE) for frame in frames]


def test_one_grey_crop_a_frame(crops: Pixels) -> None:
    assert (crops.dtype, crops.shape) == (np.uint8, (75, 100, 150))
    assert crops.std() > 20


def test_a_clip_is_cut_and_joined_like_its_frames(talk: Pixels) -> None:
    clip = MouthClip.of(list(clip_mouths(talk[:20])))
    assert (len(clip), clip.measures.dtype, clip.measures.shape) == (20, np.float32, (20, MEASURES))
    assert np.isfinite(clip.measures).all()
    assert clip.shape().shape == (20, FEATURES)
    first, second = clip[:8], clip[np.arange(8, 20)]
    again = MouthClip.joined([first, second])
    np.testing.assert_array_equal(again.crops, clip.crops)
    np.testing.assert_array_equal(again.measures, clip.measures)
    np.testing.assert_array_equal(clip[::-1].measures[0], clip.measures[19])


def test_what_moves_is_in_the_middle(crops: Pixels) -> None:
    assert centre_of_motion(crops) == pytest.approx((74.5, 49.5), abs=5)


@pytest.mark.parametrize(("angle", "scale"), [(15, 1), (-15, 1), (0, 0.7), (0, 1.4), (15, 0.7), (90, 1)])
def test_a_turned_or_scaled_face_gives_the_same_crops(talk: Pixels, crops: Pixels, angle: float, scale: float) -> None:
    # A crop moved by 4 pixels has a likeness of 0.87 at most.
    assert likeness(cut(warped(talk[:20], angle, scale)), crops[:20]) > 0.94


def test_a_still_face_stays_still(talk: Pixels) -> None:
    rng = np.random.default_rng(0)
    grainy = [np.clip(talk[0] + rng.normal(0, 3, talk[0].shape), 0, 255).astype(np.uint8) for _ in range(30)]
    still = cut(grainy)
    assert max(shift(a, b) for a, b in pairwise(still)) < 0.2
    assert max(shift(still[0], crop) for crop in still) < 0.6


def test_a_moving_head_stays_in_the_middle(talk: Pixels, crops: Pixels) -> None:
    moving = [warped([frame], x=-40 + 2 * number)[0] for number, frame in enumerate(talk[:40])]
    assert likeness(cut(moving), cut(talk[:40])) > 0.94


def streamed(frames: Iterable[Pixels], at_once: int) -> Pixels:
    return MouthClip.of([one for one in mouth_stream(frames, at_once=at_once) if one is not None]).crops


@pytest.mark.parametrize("at_once", [20, 25, 75])
def test_two_halves_followed_at_once_are_as_one(talk: Pixels, crops: Pixels, at_once: int) -> None:
    found = streamed(talk, at_once)
    assert difference(found, crops) < 0.6, "every second frame of calm lips is not looked at"
    np.testing.assert_array_equal(found, streamed(talk, at_once))  # whichever thread is ahead


def test_a_half_that_began_elsewhere_is_followed_again(talk: Pixels) -> None:
    # The second half is looked for where the face was when the first one began, and isn't there any more.
    moved = [warped([frame], x=min(-70 + 7 * number, 70))[0] for number, frame in enumerate(talk[:50])]
    assert difference(streamed(moved, 50), streamed(moved, 1)) < 0.6


Outlines = list[NDArray[np.float32] | None]


def outlined(frames: Iterable[Pixels], at_once: int = 1) -> Outlines:
    """The outline of each frame's crop, None where there is none."""
    outlines: Outlines = []
    mouths = list(mouth_stream(frames, watch=outlines.append, at_once=at_once))
    assert [mouth is None for mouth in mouths] == [outline is None for outline in outlines]
    return outlines


def between(a: Outlines, b: Outlines) -> float:
    """The greatest distance of the centres of two paths, in pixels; both have to miss the same frames."""
    assert [outline is None for outline in a] == [outline is None for outline in b]
    pairs = [(one, other) for one, other in zip(a, b, strict=True) if one is not None and other is not None]
    return max(float(np.linalg.norm((one - other).mean(0))) for one, other in pairs)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Gets an entry for each run of the mesh."""
    counted: list[None] = []
    look = FaceTracker._landmarks

    def looked(*arguments: Any) -> Any:
        counted.append(None)
        return look(*arguments)

    monkeypatch.setattr(FaceTracker, "_landmarks", looked)
    return counted


@pytest.mark.parametrize("length", [75, 30])
def test_every_frame_is_looked_at(talk: Pixels, looks: list[None], length: int) -> None:
    assert len(outlined(talk[:length])) == length
    assert len(looks) == length + 2, "and twice more where it is found, until it is settled"


@pytest.mark.parametrize(("step", "least", "most"), [(0, 25, 32), (3, 48, 60)])
def test_calm_lips_are_looked_at_in_every_second_frame(
    talk: Pixels, looks: list[None], step: int, least: int, most: int
) -> None:
    frames = [warped([talk[0]], x=step * number)[0] for number in range(40)]
    outlines = [one for one in outlined(frames, at_once=40) if one is not None]
    centres = np.array([one[:, 0].mean() for one in outlines])
    assert len(centres) == 40
    assert np.diff(centres) == pytest.approx(step, abs=1)
    assert least <= len(looks) <= most


def test_a_frame_that_is_not_looked_at_lies_between_its_neighbours(talk: Pixels, looks: list[None]) -> None:
    tracker = FaceTracker()
    tracker.start([talk[0]])
    found = np.stack([one for one in tracker([talk[0]] * 40) if one is not None])
    assert len(looks) <= 32
    middle = np.abs(found[1:-1] - (found[:-2] + found[2:]) / 2).max((1, 2)) < 1e-3
    assert middle.sum() >= 15
    assert np.abs(np.diff(found[:, list(LIPS), :2], axis=0)).max() < 1, "the picture stays"


@pytest.mark.parametrize(("start", "end"), [(31, 40), (32, 41), (33, 43), (30, 30)])
@pytest.mark.parametrize("at_once", [1, 2, 74])
def test_a_face_comes_and_goes_in_any_frame(talk: Pixels, start: int, end: int, at_once: int) -> None:
    frames = talk[:74].copy()
    frames[start:end] = 0
    found, whole = outlined(frames, at_once), outlined(talk[:74])
    assert len(found) == 74
    assert between(found, whole) < 3, "the head hardly moves in a gap of ten frames"
    known = np.delete(np.arange(74), np.s_[start - 5 : end + 5])
    assert between([found[at] for at in known], [whole[at] for at in known]) < 1


@pytest.mark.parametrize("at_once", [1, 2, 74])
def test_a_long_break_is_as_long_as_it_is(talk: Pixels, at_once: int) -> None:
    frames = talk[:74].copy()
    frames[31:46] = 0
    mouths = list(mouth_stream(frames, at_once=at_once))
    assert [mouth is None for mouth in mouths] == [31 <= number < 46 for number in range(74)]


def test_a_gap_is_interpolated(talk: Pixels) -> None:
    tracker = FaceTracker()
    tracker.start([talk[0]])
    (landmarks,) = tracker([talk[0]])
    assert landmarks is not None
    x, y = landmarks[list(LIPS), :2].mean(0)
    # The head moves on while only a ball is seen where its mouth must be.
    frames = [warped([talk[0]], x=2 * number)[0] for number in range(36)]
    for number in range(12, 24):
        frames[number] = np.zeros_like(talk[0])
        cv2.circle(frames[number], (round(x + 2 * number), round(y)), 6, (255, 255, 255), -1)
    found = cut(frames)
    assert len(found) == 36
    for crop in found[12:24]:
        assert centre_of(crop.astype(np.float64)) == pytest.approx((74.5, 49.5), abs=2)
    assert likeness(found[24:28], found[8:12]) > 0.94


@pytest.mark.parametrize("start", [0, 40, 63])
def test_half_a_second_may_be_missing_anywhere(talk: Pixels, crops: Pixels, start: int) -> None:
    frames = talk.copy()
    frames[start : start + 12] = 0
    found = cut(frames)
    assert len(found) == 75
    assert not found[start : start + 12].any()
    kept = np.delete(np.arange(75), np.s_[start : start + 12])
    assert likeness(found[kept], crops[kept]) > 0.94


def test_a_longer_gap_is_refused_with_the_share(tmp_path: Path) -> None:
    path = clips.face_gone(tmp_path / "gone.mp4", 30, 43)
    with pytest.raises(MouthError, match=r"gone\.mp4: face found in 62 of 75 frames \(83%\); film one face"):
        read_mouth(path)


def test_a_clip_that_is_too_long_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mouth, "LONGEST", 20)
    assert len(read_mouth(clips.good(tmp_path / "right.mp4", 20))) == 20
    asked = 0

    def counted(*args: Any) -> Iterator[Pixels]:
        nonlocal asked
        for frame in read_frames(*args):
            asked += 1
            yield frame

    monkeypatch.setattr(mouth, "read_frames", counted)
    with pytest.raises(MouthError, match=r"long\.mp4: over 0 minutes long; cut it into sentences"):
        read_mouth(clips.good(tmp_path / "long.mp4"))
    assert asked < 50


def test_threads_that_silence_native_code_leave_standard_error_as_it_was() -> None:
    before, entered, leave = os.fstat(2), Event(), Event()

    def silence() -> None:
        with quiet():
            entered.set()
            leave.wait(60)

    thread = Thread(target=silence)
    with quiet():
        thread.start()
        entered.wait(0.2)  # it must not get in meanwhile
    leave.set()
    thread.join(60)
    assert entered.is_set()
    assert os.path.samestat(os.fstat(2), before)


def test_the_face_models_are_the_ones_that_the_notice_names() -> None:
    notice = (Path(__file__).parents[2] / "NOTICE").read_text().split()
    models = sorted(Path(mouth.__file__).with_name("landmarks").glob("*.onnx"))
    assert len(models) == 2
    for model in models:
        named = notice[notice.index(f"src/gunileo/vision/landmarks/{model.name}") + 2]
        assert hashlib.sha256(model.read_bytes()).hexdigest() == named


def test_no_face_at_all_is_refused(tmp_path: Path) -> None:
    for path in (clips.black(tmp_path / "black.mp4"), clips.no_face(tmp_path / "wall.mp4")):
        with pytest.raises(MouthError, match=rf"{path.name}: no face found; film one face"):
            read_mouth(path)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_short(talk: Pixels, count: int) -> None:
    with pytest.raises(MouthError, match=rf"only {count} frame\(s\) long; at least 5"):
        cut(talk[:count])


def test_the_shortest(talk: Pixels, crops: Pixels) -> None:
    assert likeness(cut(talk[:5]), crops[:5]) > 0.94


@pytest.mark.parametrize("order", [1, -1])
def test_the_larger_of_two_faces_that_speak(talk: Pixels, order: int) -> None:
    # The smaller one shows other frames, so that its crops differ.
    large, small = talk[24:44], [clips.beside(frame, 0.5) for frame in talk[34:54]]
    found = cut([np.concatenate(pair[::order], axis=1) for pair in zip(large, small, strict=True)])
    assert difference(found, cut(large)) < 1.5
    assert difference(cut(small), cut(large)) > 3


def test_a_face_that_passes_by_is_not_followed(talk: Pixels) -> None:
    steady = [clips.beside(frame, 0.7) for frame in talk[:30]]
    large = np.zeros_like(talk[:30])
    large[0] = talk[0]
    found = cut([np.concatenate(pair, axis=1) for pair in zip(large, steady, strict=True)])
    assert difference(found, cut(steady)) < 1.5


def test_another_face_is_taken_for_one_that_left_after_half_a_second(talk: Pixels) -> None:
    """Not for half a second; then the one who is there is followed."""
    left = talk[:40].copy()
    left[20:] = 0
    with pytest.raises(MouthError, match=r"face found in 27 of 40 frames"):
        cut([np.concatenate([frame, clips.beside(talk[0], 0.5)], axis=1) for frame in left])


def test_few_frames_are_held(talk: Pixels) -> None:
    alive: weakref.WeakSet[Picture] = weakref.WeakSet()
    asked = 0

    def frames() -> Iterator[Pixels]:
        nonlocal asked
        for number in range(150):
            frame = (np.zeros_like(talk[0]) if 60 <= number < 70 else talk[number % 75].copy()).view(Picture)
            alive.add(frame)
            asked += 1
            yield frame

    most = ahead = given = 0
    for _ in clip_mouths(frames()):
        given += 1
        most, ahead = max(most, len(alive)), max(ahead, asked - given)
    assert given == 150
    assert ahead <= 25
    assert most <= 25


class Picture(np.ndarray):  # type: ignore[type-arg]
    """An array that a set can hold."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def test_normalised_crops_have_no_light_of_their_own() -> None:
    clip = np.random.default_rng(0).integers(60, 120, (8, 100, 150), dtype=np.uint8)
    clip[4:] += 60  # a change within the clip stays
    values = normalise(clip)
    assert (values.dtype, values.shape) == (np.float32, clip.shape)
    assert values.mean() == pytest.approx(0, abs=1e-4)
    assert values.std() == pytest.approx(1, abs=0.05)
    assert values[4:].mean() - values[:4].mean() > 1
    np.testing.assert_allclose(normalise(clip // 2 + 20), values, atol=0.08)
    assert not normalise(np.full((5, 100, 150), 77, np.uint8)).any()


def test_a_contact_sheet_has_a_row_a_clip(crops: Pixels) -> None:
    sheet = contact_sheet([("first", crops), ("short", crops[:3])], columns=4)
    assert (sheet.dtype, sheet.shape) == (np.uint8, (2 * 118, 4 * 150))
    np.testing.assert_array_equal(sheet[18:118, :150], crops[0])
    np.testing.assert_array_equal(sheet[18:118, 450:], crops[74])
    np.testing.assert_array_equal(sheet[136:, 450:], crops[2])
    assert (sheet[:18] < 128).any()  # its name is written above it


@pytest.mark.parametrize("speaker", ["s1", "s4", "s22"])
def test_real_mouths_are_in_the_middle(shared: Path, speaker: str) -> None:
    found = read_mouth(min((shared / "grid" / speaker).glob("*.m*")))
    assert found.crops.shape[1:] == (100, 150)
    assert centre_of_motion(found.crops) == pytest.approx((74.5, 49.5), abs=8)
