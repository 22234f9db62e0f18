"""What a Reader takes beside paths, and a line for what it doesn't take."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import clips
import numpy as np
import pytest
import torch
from PIL import Image

from gunileo.inference.inputs import InputError, as_frame, frames_of, name_of
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.vision.mouth import MouthError
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import VideoError, read_frames


@pytest.fixture(scope="module")
def reader(model: str) -> Reader:
    return load_model(model)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.good(tmp_path_factory.mktemp("inputs") / "clip.mp4", frames=50)


def test_bytes_and_file_objects_are_read_as_the_file_is(reader: Reader, clip: Path) -> None:
    expected = reader.transcribe(clip)
    data = clip.read_bytes()
    with clip.open("rb") as file:
        sources = (data, bytearray(data), memoryview(data), io.BytesIO(data), file)
        read = [reader.transcribe(source) for source in sources]
    assert [(one.text, one.words) for one in read] == [(expected.text, expected.words)] * 5
    assert [one.file for one in read] == ["bytes", "bytes", "bytes", "file", str(clip)]


def test_frames_of_any_library_are_read_as_the_file_is(reader: Reader, clip: Path) -> None:
    expected = reader.transcribe(clip).text
    frames = np.stack(list(read_frames(clip)))
    alpha = np.concatenate([frames, np.full((*frames.shape[:3], 1), 9, np.uint8)], axis=3)
    for source in (frames, list(frames), iter(frames), alpha, torch.from_numpy(frames), map(Image.fromarray, frames)):
        assert reader.transcribe(source).text == expected
    with av.open(clip) as container:
        assert reader.transcribe(container.decode(video=0)).text == expected
    assert reader.transcribe(Indexed(frames)).text == expected


class Indexed:
    """Frames by their numbers, and no more, as video libraries' own readers give them."""

    def __init__(self, frames: Any) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Any:
        return self._frames[number]


def test_a_frame_keeps_its_pixels() -> None:
    rgb = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    grey = rgb[..., 0]
    np.testing.assert_array_equal(as_frame(np.dstack([rgb, grey])), rgb)
    np.testing.assert_array_equal(as_frame(torch.from_numpy(rgb)), rgb)
    np.testing.assert_array_equal(as_frame(Image.fromarray(rgb)), rgb)
    for one in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(as_frame(one), np.repeat(grey[..., None], 3, axis=2))


def shown(frames: Any, **clock: Any) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in frames_of(frames, **clock)]


def test_frames_are_brought_to_25_a_second_by_their_rate_or_times() -> None:
    frames = [np.full((2, 2, 3), number, np.uint8) for number in range(6)]
    assert shown(frames) == shown(frames, fps=25) == [0, 1, 2, 3, 4, 5]
    assert shown(frames, fps=50) == [0, 2, 4, 5]
    assert shown(frames, fps=Fraction(50)) == shown(frames, fps=np.float32(50)) == [0, 2, 4, 5]  # as PyAV and NumPy say
    assert shown(frames, times=[Fraction(number, 50) for number in range(6)]) == [0, 2, 4, 5]
    assert shown(frames, fps=12.5) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert shown(frames, times=[7, 7.04, 7.2, 7.24, 7.28, 7.32]) == [0, 1, 1, 1, 1, 2, 3, 4, 5]
    assert shown(frames, times=[np.array(number / 50) for number in range(6)]) == [0, 2, 4, 5]  # as a tensor's elements
    assert shown(frames, fps=np.array(50)) == [0, 2, 4, 5]


def test_words_keep_the_times_that_frames_have() -> None:
    """A frame that stands for over ten seconds is repeated for ten, and what follows keeps its time."""
    frames = [np.full((2, 2, 3), number, np.uint8) for number in range(3)]
    timeline = Timeline()
    given = [int(frame[0, 0, 0]) for frame in frames_of(frames, times=[7, 7.04, 5000], timeline=timeline)]
    assert given == [0, *[1] * 250, 2]
    assert (timeline.seconds(0), timeline.seconds(251 / 25)) == (7, pytest.approx(5000))


FRAME = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (None, "None is not a frame"),
        ("a.png", "a str is not a frame"),
        (FRAME.astype(np.float32), "a frame of float32"),
        (FRAME.astype(np.int64), "a frame of int64"),
        (FRAME.transpose(2, 0, 1), "with the channels last"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), "with the channels last"),
        (FRAME[:0], "a frame of shape [0, 5, 3]"),
        (FRAME[None], "a frame of shape [1, 4, 5, 3]"),
    ],
)
def test_what_is_no_frame_is_told_in_a_line_that_says_what_is(reader: Reader, frame: Any, complaint: str) -> None:
    for read in (lambda: reader.live().push(frame), lambda: reader.transcribe([FRAME, frame])):
        with pytest.raises(InputError, match="uint8") as error:
            read()
        assert complaint in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", [None, 7, {"a": 1}, FRAME, Image.fromarray(FRAME), io.StringIO("text")])
def test_what_is_no_video_is_told_in_a_line_that_says_what_is(reader: Reader, source: Any) -> None:
    with pytest.raises(InputError, match="give a path, the bytes") as error:
        reader.transcribe(source)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("clock", "complaint"),
    [
        ({"fps": 0}, "can't be a frame rate"),
        ({"fps": float("nan")}, "can't be a frame rate"),
        ({"fps": 25, "times": [0]}, "both"),
        ({"times": [0, 0.04]}, "as many times as frames"),
        ({"times": [0, 0.04, 0.02]}, "times have to increase"),
        ({"times": [0, 0.04, float("inf")]}, "no time in seconds"),
    ],
)
def test_rates_and_times_that_are_wrong_are_told(clock: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        list(frames_of([FRAME] * 3, **clock))


def test_a_video_keeps_its_own_times(clip: Path) -> None:
    for source in (clip, clip.read_bytes()):
        with pytest.raises(InputError, match="its own times"):
            frames_of(source, fps=30)


def test_damaged_bytes_are_told_by_their_name(reader: Reader) -> None:
    with pytest.raises(VideoError, match=r"^bytes: "):
        reader.transcribe(b"no video at all")
    with pytest.raises(VideoError, match=r"^file: "):
        reader.transcribe(io.BytesIO())
    with pytest.raises(MouthError, match=r"^frames: "):
        reader.transcribe([])


def test_a_file_object_that_was_read_already_is_told() -> None:
    file = io.BytesIO(b"a film")
    file.read()
    with pytest.raises(InputError, match=r"file: was read to its end already; go back with seek\(0\)"):
        list(frames_of(file))
    with pytest.raises(VideoError, match="bytes: the file is empty"):
        list(frames_of(b""))


def test_any_path_like_object_is_a_path(clip: Path) -> None:
    class Place:
        def __fspath__(self) -> str:
            return str(clip)

    assert len(list(frames_of(Place()))) == 50
    assert name_of(Place()) == str(clip)


def test_frames_of_two_sizes_are_told() -> None:
    frames = [np.zeros((48, 64, 3), np.uint8)] * 6 + [np.zeros((24, 32, 3), np.uint8)]
    with pytest.raises(InputError, match="frame 7 has 32x24 pixels, those before it 64x48; give frames of one size"):
        list(frames_of(frames))
