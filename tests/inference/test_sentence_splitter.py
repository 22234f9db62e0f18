"""Spans of continuous speech become one span a sentence, also across a cut."""

from itertools import pairwise

import numpy as np
import pytest

from gunileo.inference.sentence_splitter import SentenceSplitter
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import MEASURES
from gunileo.vision.speech_activity import LONGEST, Span

SENTENCE = 60  # frames


def clip(first: int, last: int) -> MouthClip:
    """Frames of a stream that carry their numbers."""
    crops = np.zeros((last - first, 100, 150), np.uint8)
    crops[:, 0, 0], crops[:, 0, 1] = np.arange(first, last) % 256, np.arange(first, last) // 256
    return MouthClip(crops, np.zeros((last - first, MEASURES), np.float32))


def numbers(clip: MouthClip) -> list[int]:
    return (clip.crops[:, 0, 0].astype(int) + 256 * clip.crops[:, 0, 1].astype(int)).tolist()


def each_sentence(clip: MouthClip) -> list[int]:
    return [at for at, number in enumerate(numbers(clip)) if number % SENTENCE == 0 and at]


def checked(parts: list[Span]) -> list[tuple[int, int]]:
    """What each part has for its own; all parts follow each other, and hold the frames that they say."""
    for part in parts:
        assert numbers(part.clip) == list(range(part.start, part.start + len(part.clip)))
        assert part.start <= part.first < part.last <= part.start + len(part.clip)
    assert all(one.last == other.first for one, other in pairwise(parts))
    return [(part.first, part.last) for part in parts]


def test_a_stretch_is_told_apart_with_some_frames_around() -> None:
    parts = SentenceSplitter(each_sentence).push(Span(0, clip(0, 150), 0, 150))
    assert checked(parts) == [(0, 60), (60, 120), (120, 150)]
    assert [(part.start, len(part.clip)) for part in parts] == [(0, 63), (57, 66), (117, 33)]


@pytest.mark.parametrize("cut", [131, 178, 185, 200, 239])
def test_a_sentence_at_a_cut_is_whole(cut: int) -> None:
    splitter = SentenceSplitter(each_sentence)
    first = splitter.push(Span(0, clip(0, cut + 10), 0, cut))
    rest = splitter.push(Span(cut - 10, clip(cut - 10, 300), cut, 300))
    assert checked(first + rest) == [(at, at + SENTENCE) for at in range(0, 300, SENTENCE)]
    assert splitter.close() == []


def test_a_hidden_frame_on_both_sides_of_a_cut_is_told_once() -> None:
    splitter = SentenceSplitter(each_sentence)
    splitter.push(Span(0, clip(0, 210), 0, 200, (150, 192, 193)))
    parts = splitter.push(Span(190, clip(190, 300), 200, 300, (192, 193, 250)))
    assert [part.hidden for part in parts] == [(150, 192, 193, 250)] * 2


def test_what_is_held_back_comes_at_the_end_or_when_others_follow() -> None:
    cut = Span(0, clip(0, 210), 0, 200)
    splitter = SentenceSplitter(each_sentence)
    begun = splitter.push(cut)
    assert checked(begun + splitter.close())[-1] == (180, 200)
    assert splitter.close() == []
    assert [part.first for part in splitter.push(cut)] == [0, 60, 120]
    assert [part.first for part in splitter.push(Span(500, clip(500, 530), 500, 530))] == [180, 500]


def test_one_sentence_stays_as_it_is() -> None:
    splitter = SentenceSplitter(lambda clip: [])
    for span in (Span(0, clip(0, 70), 0, 70), Span(70, clip(70, 320), 80, 310)):
        assert splitter.push(span) == [span]
    assert splitter.close() == []


def test_what_would_be_too_long_is_read_as_it_was_cut() -> None:
    splitter = SentenceSplitter(lambda clip: [100, 160] if numbers(clip)[0] == 0 else [])
    splitter.push(Span(0, clip(0, 250), 0, 240))
    parts = splitter.push(Span(230, clip(230, 470), 240, 470))
    assert [len(part.clip) for part in parts] == [93, 240]
    assert all(len(part.clip) <= LONGEST for part in parts)


def test_a_part_that_would_be_too_long_is_read_as_it_was_cut() -> None:
    splitter = SentenceSplitter(lambda clip: [110, 208] if numbers(clip)[0] == 0 else [1])
    first = splitter.push(Span(0, clip(0, 230), 0, 220))
    rest = splitter.push(Span(210, clip(210, 459), 220, 459))
    assert checked(first + rest)[-1][1] == 459
    assert all(len(part.clip) <= LONGEST for part in first + rest)
