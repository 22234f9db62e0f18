"""Where in a video a sentence is said: after titles, between cuts, in continuous speech, on the player's clock."""

from itertools import pairwise
from pathlib import Path

import clips
import numpy as np
import pytest

from gunileo.inference.live import sentences
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.output.transcript import Transcript, Word
from gunileo.vision.faces import find_faces
from gunileo.vision.mouth import MouthError, mouth_stream, read_mouth
from gunileo.vision.mouth_clip import Mouth, MouthClip
from gunileo.vision.mouth_shape import MEASURES
from gunileo.vision.speech_activity import bridged
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import FPS, read_frames, write_video


@pytest.fixture(scope="module")
def reader() -> Reader:
    return load_model()


@pytest.mark.parametrize("titles", [1, 8])
def test_titles_before_a_face_are_passed_over_in_short_and_long_clips(
    reader: Reader, tmp_path: Path, titles: int
) -> None:
    talk = clips.talking()[0]
    write_video(tmp_path / "plain.mp4", talk)
    write_video(tmp_path / "titled.mp4", [*([np.full_like(talk[0], 30)] * titles * FPS), *talk])
    plain, titled = reader.transcribe(tmp_path / "plain.mp4"), reader.transcribe(tmp_path / "titled.mp4")
    assert len(titled.words) == len(plain.words)
    assert titled.duration == pytest.approx(titles + 3)
    starts = [word.start for word in titled.words]
    assert starts == pytest.approx([word.start + titles for word in plain.words], abs=0.25)


@pytest.mark.parametrize(("end", "from_", "to"), [(52, 35, 52), (42, 35, 42)])
def test_a_sentence_goes_on_where_the_face_is_hidden_and_is_a_guess(
    reader: Reader, tmp_path: Path, end: int, from_: int, to: int
) -> None:
    """A short time, in which the mouth is followed, or a longer one."""
    whole = reader.transcribe(clips.good(tmp_path / "whole.mp4"))
    read = reader.transcribe(clips.face_gone(tmp_path / "gone.mp4", 35, end))
    assert len(read.words) == len(whole.words) == 6
    assert not read.segments
    assert not read.sure
    ((start, stop),) = read.hidden
    assert start == pytest.approx(from_ / FPS, abs=0.05)
    assert stop == pytest.approx(to / FPS, abs=0.05)
    assert whole.hidden == ()


def test_a_face_that_is_hidden_while_nothing_is_said_makes_no_guess(reader: Reader, tmp_path: Path) -> None:
    assert reader.transcribe(clips.face_gone(tmp_path / "gone.mp4", 66, 71)).hidden == ()


def test_a_face_that_is_gone_for_long_leaves_two_stretches(reader: Reader, tmp_path: Path) -> None:
    talk = clips.talking()[0]
    write_video(tmp_path / "gone.mp4", [*talk, *np.zeros_like(talk[:50]), *talk])
    read = reader.transcribe(tmp_path / "gone.mp4")
    assert [len(one.text.split()) for one in read.segments] == [6, 6]
    assert read.hidden == ()
    assert all(word.end <= 3.05 or word.start >= 4.95 for word in read.words)


def test_a_gap_is_bridged_for_one_person_who_was_seen_for_as_long() -> None:
    seen, other = talk(20), talk(1)[0]._replace(other=True)
    for mouths, filled in (
        ([*seen, *[None] * 20, *seen], 20),
        ([*seen, *[None] * 21, *seen], 0),
        ([*seen, *seen, *[None] * 37, *seen], 37),
        ([*seen, *seen, *[None] * 38, *seen], 0),
        ([*seen, *[None] * 9, other, *seen], 0),
        ([*[None] * 9, *seen, *[None] * 9], 0),
    ):
        told = list(bridged(iter(mouths)))
        assert len(told) == len(mouths)
        assert [mouth.hidden for mouth in told if mouth].count(True) == filled
        assert told.count(None) == mouths.count(None) - filled


def test_none_comes_once_a_face_is_lost_for_longer() -> None:
    """So that the sentence before it is told then, and not when a face comes back."""
    mouths = iter([*talk(20), *[None] * 21, *talk(1)])
    told = [next(found) for found in [bridged(mouths)] for _ in range(41)]
    assert told.count(None) == 21
    assert next(mouths) is not None, "no more were taken"


def test_a_hidden_mouth_is_no_rest() -> None:
    """A sentence in a stream goes on in it, and is told to be a guess."""
    mouths: list[Mouth | None] = [*talk(40), *[None] * 25, *talk(40), *[talk(63)[-1]] * 30]
    (one,) = sentences(iter(mouths), Claiming(), "x", "greedy", None)  # type: ignore[arg-type]
    assert not one.sure
    assert one.hidden == (pytest.approx((40 / FPS, 65 / FPS)),)


def test_a_clip_whose_face_is_hardly_seen_is_an_error(reader: Reader, tmp_path: Path) -> None:
    talk = clips.talking()[0].copy()
    talk[2:] = 0
    write_video(tmp_path / "a.mp4", talk)
    with pytest.raises(MouthError, match=r"a\.mp4: face found in \d+ of 75 frames"):
        reader.transcribe(tmp_path / "a.mp4")


class Claiming:
    """Reads six words in any clip, from its first frame to its last."""

    name = "claiming"

    def untimed(self) -> "Claiming":
        return self

    def boundaries(self, *_: object) -> list[int]:
        return []

    def transcribe_clip(self, clip: MouthClip, file: str, *_: object) -> Transcript:
        ends = np.linspace(0, len(clip) / FPS, 7)
        words = tuple(Word(f"w{at}", float(a), float(b), 1.0) for at, (a, b) in enumerate(pairwise(ends)))
        return Transcript(file, " ".join(word.word for word in words), words, 1.0, self.name)


def talk(frames: int) -> list[Mouth]:
    """A mouth that moves for two seconds, and rests for half a second, again and again."""
    face = np.linspace(60, 200, 100).astype(np.uint8)[:, None] + np.zeros((frames, 100, 150), np.uint8)
    for number, frame in enumerate(face):
        half = round(4 + 14 * abs(np.sin(number / 1.6))) if number % 63 < 50 else 4
        frame[60 - half : 60 + half, 45:105] = 15
    return [Mouth(frame, np.zeros(MEASURES, np.float32)) for frame in face]


def test_sentences_without_a_rest_between_them_come_in_order_without_overlap() -> None:
    read = list(sentences(talk(1000), Claiming(), "x", "greedy", None))  # type: ignore[arg-type]
    assert len(read) > 8
    words = [word for one in read for word in one.words]
    assert all(word.start < word.end for word in words)
    assert all(before.end <= after.start + 1e-9 for before, after in pairwise(words))
    assert words[-1].end <= 1000 / FPS + 0.5


def test_words_have_their_times_on_the_players_clock(reader: Reader, tmp_path: Path) -> None:
    frames = clips.talking()[0]
    write_video(tmp_path / "plain.mp4", frames)
    plain = reader.transcribe(tmp_path / "plain.mp4")
    hold, times = 60.0, [*np.arange(75) / 25, *(np.arange(75) / 25 + 60.0)]
    clips.write_timed(tmp_path / "held.mp4", [*frames, *frames], times)
    held = reader.transcribe(tmp_path / "held.mp4")
    assert [len(one.text.split()) for one in held.segments] == [len(plain.words)] * 2
    assert held.segments[0].start == pytest.approx(plain.words[0].start, abs=0.25)
    assert held.segments[1].start == pytest.approx(hold + plain.words[0].start, abs=0.25)
    assert held.duration == pytest.approx(63, abs=0.01)
    streamed = list(reader.stream(tmp_path / "held.mp4"))
    assert [one.words for one in streamed] == [held.words[:6], held.words[6:]]


def test_a_jump_zoom_is_a_cut_over_which_nothing_is_smoothed() -> None:
    import cv2

    frames = list(clips.talking()[0])
    height, width = frames[0].shape[:2]
    zoom = np.array([[1.4, 0, -0.2 * width], [0, 1.4, -0.2 * height]])
    frames[37:] = [cv2.warpAffine(frame, zoom, (width, height)) for frame in frames[37:]]
    outlines: list[np.ndarray | None] = []
    mouths = list(mouth_stream(frames, watch=outlines.append))
    assert len(mouths) == len(outlines) == 75
    widths = [float(np.linalg.norm(outline[1] - outline[0])) for outline in outlines if outline is not None]
    assert widths[34:37] == pytest.approx([np.mean(widths[20:30])] * 3, rel=0.03)
    assert widths[39:42] == pytest.approx([np.mean(widths[45:55])] * 3, rel=0.03)
    assert widths[39] / widths[36] == pytest.approx(1.4, rel=0.05)


def test_a_cut_to_another_person_in_the_same_place_begins_another_sentence(tmp_path: Path) -> None:
    talk = clips.talking()[0]
    mouths = list(mouth_stream([*talk, *clips.another(talk)]))
    assert [number for number, mouth in enumerate(mouths) if mouth is None or mouth.other] == [75]
    spans = list(sentences(iter(mouths), Claiming(), "a", "greedy", None))
    assert [words.words[0].start < 3 <= words.words[-1].end for words in spans].count(True) == 0
    assert len(spans) == 2
    write_video(tmp_path / "a.mp4", [*talk, *clips.another(talk)])
    with pytest.raises(MouthError, match=r"a\.mp4: cuts from one person to another"):
        read_mouth(tmp_path / "a.mp4")


def test_a_face_at_a_place_is_another_persons_three_seconds_after_a_cut() -> None:
    """Not at once: it could be someone who passes in front."""
    talk = clips.talking()[0]
    film = [*talk, *clips.another(talk), *clips.another(talk)]
    (place,) = find_faces(film, "a.mp4").values()
    found = [mouth is not None for mouth in mouth_stream(film, place)]
    assert found == [True] * 75 + [False] * 75 + [True] * 75


@pytest.mark.parametrize("kind", ["flash", "darker", "jump zoom", "shaken"])
def test_one_person_stays_one(kind: str) -> None:
    import cv2

    frames = [frame.copy() for frame in clips.talking()[0][:60]]
    height, width = frames[0].shape[:2]
    for number, frame in enumerate(frames):
        if kind == "flash" and number in (30, 31):
            frames[number] = np.clip(frame.astype(int) + 90, 0, 255).astype(np.uint8)
        if kind == "darker" and number >= 30:
            frames[number] = (frame * 0.7).astype(np.uint8)
        if kind == "jump zoom" and number >= 30:
            zoom = np.array([[1.4, 0, -0.2 * width], [0, 1.4, -0.2 * height]])
            frames[number] = cv2.warpAffine(frame, zoom, (width, height))
        if kind == "shaken":
            shift = np.array([[1, 0, 10 * np.sin(number)], [0, 1, 8 * np.cos(1.3 * number)]])
            frames[number] = cv2.warpAffine(frame, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
    assert [mouth for mouth in mouth_stream(frames) if mouth is None or mouth.other] == []


def test_the_players_clock_and_back() -> None:
    timeline = Timeline()
    assert (timeline.seconds(1.5), timeline.frame(1.5)) == (1.5, 38)
    timeline.begin(0, 2.0)
    timeline.begin(100, 30.0)
    assert [timeline.seconds(at) for at in (0.0, 1.0, 4.0, 5.0)] == pytest.approx([2.0, 3.0, 30.0, 31.0])
    assert [timeline.frame(at) for at in (1.0, 2.0, 3.0, 30.0, 31.0)] == [-25, 0, 25, 100, 125]


def test_frames_of_a_plain_file_start_at_nought(tmp_path: Path) -> None:
    timeline = Timeline()
    assert len(list(read_frames(clips.good(tmp_path / "a.mp4", 10), timeline))) == 10
    assert (timeline.seconds(0.2), timeline.duration) == (0.2, pytest.approx(0.4))


class Apart(Claiming):
    """Finds two sentences in whatever is long."""

    def boundaries(self, clip: MouthClip, *_: object) -> list[int]:
        return [len(clip) // 2]


def test_sentences_of_one_stretch_are_told_apart() -> None:
    mouths = talk(50) * 3 + talk(63)[50:]  # six seconds without a rest
    (one,) = sentences(mouths, Claiming(), "x", "greedy", None)  # type: ignore[arg-type]
    first, second = sentences(mouths, Apart(), "x", "greedy", None)  # type: ignore[arg-type]
    assert first.words[0].start == one.words[0].start
    assert second.words[-1].end == one.words[-1].end
    middle = (one.words[0].start + one.words[-1].end) / 2
    assert middle - 0.2 < first.words[-1].end <= second.words[0].start < middle + 0.2
    (short,) = sentences(talk(63), Apart(), "x", "greedy", None)  # type: ignore[arg-type]
    assert short.words[-1].end < 3
