"""Sentences cut out of a stream: where the mouth moves, whole and apart, none lost, and no more held than one."""

from itertools import pairwise

import numpy as np
import pytest

from gunileo.vision.crop import HEIGHT, WIDTH
from gunileo.vision.mouth_clip import Mouth
from gunileo.vision.mouth_shape import MEASURES
from gunileo.vision.speech_activity import LONGEST, Segmenter, Span

REST = np.linspace(60, 200, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)


def still(count: int, noise: float = 2.0) -> list[np.ndarray]:
    random = np.random.default_rng(count)
    return [np.clip(REST + random.normal(0, noise, REST.shape), 0, 255).astype(np.uint8) for _ in range(count)]


def moving(count: int) -> list[np.ndarray]:
    """A dark mouth that opens and closes five times a second."""
    frames = still(count)
    for time, frame in enumerate(frames):
        half = round(4 + 14 * abs(np.sin(2 * np.pi * 2.5 * time / 25)))
        frame[60 - half : 60 + half, 45:105] = 15
    return frames


def seen(frames: list[np.ndarray | None]) -> list[Mouth | None]:
    """These crops as mouths, whose measures are their numbers."""
    return [
        None if frame is None else Mouth(frame, np.full(MEASURES, at, np.float32)) for at, frame in enumerate(frames)
    ]


def cut(frames: list[np.ndarray | None], segmenter: Segmenter | None = None) -> list[Span]:
    segmenter = segmenter or Segmenter()
    return [span for span in [*map(segmenter.push, seen(frames)), segmenter.close()] if span]


def test_sentences_come_out_apart_with_rest_around_them() -> None:
    spans = cut([*still(40), *moving(50), *still(25), *moving(30), *still(40)])
    assert len(spans) == 2
    for span, (start, end) in zip(spans, [(40, 90), (115, 145)], strict=True):
        assert start - 20 < span.start < start
        assert end < span.start + len(span.clip) < end + 20
        assert (span.first, span.last) == (span.start, span.start + len(span.clip))


def test_a_span_holds_the_frames_it_says() -> None:
    frames = [*still(30), *moving(40), *still(30)]
    (span,) = cut(frames)
    held = range(span.start, span.start + len(span.clip))
    np.testing.assert_array_equal(span.clip.crops, [frames[at] for at in held])
    np.testing.assert_array_equal(span.clip.measures[:, 0], held)


def test_a_sentence_ends_while_the_stream_goes_on_and_not_later_than_half_a_second() -> None:
    segmenter = Segmenter()
    assert not any(segmenter.push(mouth) for mouth in seen([*still(40), *moving(50)]))
    after = [segmenter.push(mouth) is not None for mouth in seen(still(40))]
    assert after.index(True) <= 13
    assert sum(after) == 1


def test_rest_a_twitch_and_a_cut_to_another_scene_are_no_sentences() -> None:
    assert not cut(still(300))
    assert not cut([*still(40), *moving(4), *still(40)])
    assert not cut([*still(40), *(255 - frame for frame in still(40)), *still(40)])


def test_a_noisy_camera_is_no_movement() -> None:
    assert not cut(still(300, noise=10.0))


def test_what_was_begun_comes_out_at_the_end() -> None:
    (span,) = cut([*still(30), *moving(30)])
    assert span.start + len(span.clip) == 60


def test_what_follows_on_demand_begins_anew() -> None:
    segmenter = Segmenter()
    first = cut([*still(20), *moving(40)], segmenter)[0]
    second = cut([*moving(40), *still(20)], segmenter)[0]
    assert first.start + len(first.clip) == second.start == 60


def test_the_last_word_after_a_cut_is_not_lost() -> None:
    for tail in range(3, 30):
        spans = cut([*moving(LONGEST - 21), *still(6), *moving(tail), *still(40)])
        assert all(before.last == after.first for before, after in pairwise(spans))
        assert spans[-1].last >= LONGEST - 15 + tail


def test_what_never_rests_is_cut_with_an_overlap_and_each_frame_belongs_to_one_span() -> None:
    spans = cut([*still(20), *moving(3 * LONGEST)])
    assert len(spans) > 3
    for before, after in pairwise(spans):
        assert before.last == after.first
        assert after.start < before.last < before.start + len(before.clip), "words at the cut are whole in one"
    assert all(len(span.clip) <= LONGEST for span in spans)
    assert spans[0].first <= 20
    assert spans[-1].last == 20 + 3 * LONGEST


@pytest.mark.parametrize("lost", [1, 60])
def test_a_lost_face_ends_a_sentence_and_the_next_keeps_its_place(lost: int) -> None:
    gone: list[np.ndarray | None] = [None] * lost
    spans = cut([*still(20), *moving(40), *gone, *moving(40), *still(20)])
    assert [span.start for span in spans] == [spans[0].start, 60 + lost]
    assert spans[0].start + len(spans[0].clip) == 60


def test_no_more_than_a_sentence_is_held() -> None:
    segmenter = Segmenter()
    for mouth in seen([*still(1000), *moving(1000)]):
        segmenter.push(mouth)
        assert len(segmenter._mouths) == len(segmenter._levels) <= LONGEST
