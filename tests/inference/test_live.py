"""Reading a stream: the same sentences from a file, from frames pushed one at a time and from crops."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gunileo.corpus.grid import SLOTS
from gunileo.evaluation.metrics import wer
from gunileo.inference.live import sentences
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.output.transcript import Transcript, Word, joined
from gunileo.output.whisper import to_fields
from gunileo.output.writers import to_txt
from gunileo.vision.mouth import MouthError, mouth_stream
from gunileo.vision.mouth_clip import Mouth, MouthClip
from gunileo.vision.mouth_shape import MEASURES
from gunileo.vision.video import FPS, Frame, VideoError, read_frames, write_video


@pytest.fixture(scope="module")
def reader() -> Reader:
    return load_model()


@pytest.fixture(scope="module")
def frames(synthetic_corpus: Path) -> list[Frame]:
    """Four sentences one after the other, over ten seconds, without a jump: a made-up one, there and back, twice."""
    clip = list(read_frames(min((synthetic_corpus / "s1").glob("*.*"))))
    return [frame for way in (clip, clip[::-1]) * 2 for frame in way]


@pytest.fixture(scope="module")
def video(frames: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    write_video(path, frames)
    return path


def test_a_long_video_is_read_sentence_by_sentence(reader: Reader, video: Path, frames: list[Frame]) -> None:
    read = reader.transcribe(video)
    assert len(read.segments) == 4
    assert read.text.splitlines() == [sentence.text for sentence in read.segments]
    assert len(read.words) == 4 * len(SLOTS)
    starts = [word.start for word in read.words]
    assert starts == sorted(starts)
    assert read.words[-1].end < len(frames) / FPS
    assert [one.text for one in reader.stream(video)] == read.text.splitlines()


def test_frames_pushed_one_at_a_time_give_the_same(reader: Reader, video: Path) -> None:
    live, read, when = reader.live(), [], []
    for number, frame in enumerate(read_frames(video)):
        if spoken := live.push(frame):
            read += spoken
            when.append(number / FPS)
    read += live.flush()
    # A file's frames are followed in two halves, which leaves crops a little different (tests/vision/test_mouth.py).
    alike = sentences(mouth_stream(read_frames(video), at_once=1), reader, str(video), "grammar", None)
    for one, other in zip(read, alike, strict=True):
        assert (one.text, one.words) == (other.text, other.words)
    for one, time in zip(read, when, strict=False):
        assert 0 < time - one.words[-1].end < 2, "a sentence comes out soon after its end"


def test_a_sentence_is_read_on_demand(reader: Reader, frames: list[Frame]) -> None:
    live = reader.live()
    read = [one for frame in frames[:70] for one in live.push(frame)]
    assert not read
    (read,) = live.flush()
    assert len(read.words) == len(SLOTS)
    assert not live.flush()


def test_a_stretch_without_a_face_is_passed_over(reader: Reader, frames: list[Frame]) -> None:
    away = [np.full_like(frames[0], 90)] * 100
    quarter = len(frames) // 4
    mouths = list(mouth_stream([*away, *frames[:quarter], *away, *frames[quarter : 2 * quarter]]))
    assert len(mouths) == 200 + 2 * quarter
    assert 200 - 2 * FPS < sum(mouth is None for mouth in mouths) <= 200
    read = list(sentences(mouths, reader, "x", "grammar", None))
    assert len(read) == 2
    assert 4 < read[0].words[0].start < 4 + quarter / FPS
    assert read[1].words[0].start > 8 + quarter / FPS


@dataclass(frozen=True)
class Counting:
    """Reads a word in every ten frames, from the number that a frame carries, if all of them are there."""

    name: str = "counting"

    def untimed(self) -> "Counting":
        return self

    def boundaries(self, *_: object) -> list[int]:
        return []

    def transcribe_clip(self, clip: MouthClip, file: str, *_: object) -> Transcript:
        numbers = clip.crops[:, 0, 0].astype(int) + 256 * clip.crops[:, 0, 1].astype(int)
        starts = [at for at, number in enumerate(numbers) if number % 10 == 0 and at + 8 <= len(numbers)]
        words = tuple(Word(str(numbers[at] // 10), at / FPS, (at + 8) / FPS, 1.0) for at in starts)
        return Transcript(file, " ".join(word.word for word in words), words, 1.0, self.name)


def test_where_talk_is_cut_no_word_is_lost_or_twice() -> None:
    frames = np.zeros((1000, 100, 150), np.uint8) + np.linspace(60, 200, 100).astype(np.uint8)[:, None]
    for number, frame in enumerate(frames):
        half = round(4 + 14 * abs(np.sin(number / 1.6)))
        frame[60 - half : 60 + half, 45:105] = 15
        frame[0, :2] = number % 256, number // 256
    mouths = (Mouth(frame, np.zeros(MEASURES, np.float32)) for frame in frames)
    read = list(sentences(mouths, Counting(), "x", "greedy", None))  # type: ignore[arg-type]
    assert len(read) > 4
    assert [int(word.word) for one in read for word in one.words] == list(range(100))
    assert all(round(word.start * FPS) == 10 * int(word.word) for one in read for word in one.words)


def test_a_damaged_long_video_is_read_up_to_the_damage(reader: Reader, frames: list[Frame]) -> None:
    def broken() -> Iterator[Frame]:
        yield from frames
        raise VideoError("x: truncated")

    whole = list(sentences(mouth_stream(frames), reader, "x", "grammar", None))
    read: list[Transcript] = []
    stream = map(read.append, sentences(mouth_stream(broken()), reader, "x", "grammar", None))
    with pytest.raises(VideoError, match="truncated"):
        list(stream)
    assert read == whole


def test_a_long_video_without_a_face_is_an_error(reader: Reader, tmp_path: Path) -> None:
    write_video(tmp_path / "wall.mp4", [np.full((120, 160, 3), 90, np.uint8)] * 300)
    with pytest.raises(MouthError, match=r"wall\.mp4: no face found; film one face"):
        reader.transcribe(tmp_path / "wall.mp4")


def test_real_sentences_one_after_the_other_are_read_as_apart(reader: Reader, shared: Path) -> None:
    clips = sorted((shared / "grid" / "s1").glob("*.mpg"))[:8]
    apart = [reader.transcribe(clip).text for clip in clips]
    stream = mouth_stream(frame for clip in clips for frame in read_frames(clip))
    read = [one.text for one in sentences(stream, reader, "x", "grammar", None)]
    assert len(read) == len(clips)
    assert wer([" ".join(apart)], [" ".join(read)]) < 0.05


def test_a_transcript_of_several_sentences() -> None:
    words = [(Word("bin", 0.5, 0.7, 0.9),), (Word("set", 4.0, 4.2, 0.3),)]
    read = [Transcript("x", "bin", words[0], 0.9, "m"), Transcript("x", "set", words[1], 0.3, "m", sure=False)]
    whole = joined("x", "m", read)
    assert to_txt(whole) == "bin\nnot sure: set\n"
    assert (whole.confidence, whole.sure, whole.words) == (0.3, False, words[0] + words[1])
    assert [segment["sure"] for segment in to_fields(whole)["segments"]] == [True, False]
    assert not joined("x", "m", []).sure
