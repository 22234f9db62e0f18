"""Push to talk and alternatives: a sentence from ``begin`` to ``end``, and what it may have been."""

from __future__ import annotations

from collections.abc import Iterable

import clips
import numpy as np
import pytest

from gunileo.corpus.grid import SLOTS
from gunileo.inference.live import Live
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.output.transcript import Transcript
from gunileo.output.whisper import to_fields
from gunileo.vision.video import FPS, Frame


@pytest.fixture(scope="module")
def reader() -> Reader:
    return load_model("labial-wide")


@pytest.fixture(scope="module")
def still() -> list[Frame]:
    return [clips.talking()[0][0]] * 25


@pytest.fixture(scope="module")
def said(still: list[Frame]) -> list[Frame]:
    """A sentence with a rest of a second in its middle."""
    frames = list(clips.talking()[0])
    return frames[:38] + [frames[37]] * 25 + frames[38:]


def push(live: Live, frames: Iterable[Frame]) -> list[Transcript]:
    return [one for frame in frames for one in live.push(frame)]


def test_a_rest_ends_no_sentence_while_the_key_is_held(reader: Reader, still: list[Frame], said: list[Frame]) -> None:
    free = reader.live()
    assert len(push(free, [*still, *said, *still])) == 2, "hands-free it does"
    live = reader.live()
    assert push(live, still) == []
    live.begin()
    assert push(live, said) == []
    (read,) = live.end()
    assert len(read.words) == len(SLOTS)
    assert 1 <= read.words[0].start < read.words[-1].end <= (len(still) + len(said)) / FPS


def test_nothing_is_read_outside(reader: Reader, still: list[Frame], said: list[Frame]) -> None:
    live = reader.live()
    assert push(live, clips.talking()[0][:70]) == []
    assert live.end(), "what was begun hands-free"
    assert push(live, [*said, *still]) == []
    assert live.flush() == []
    assert push(live, still) == []
    live.begin()
    assert push(live, still) == []
    assert live.end() == [], "nothing was said"
    live.begin()
    assert push(live, said) == []
    (read,) = live.end()
    assert read.words[0].start > (70 + len(said) + 3 * len(still)) / FPS - 0.6, "the clock goes on"


def test_alternatives_are_the_likeliest_sentences(reader: Reader, still: list[Frame]) -> None:
    live = reader.live(alternatives=3)
    live.begin()
    push(live, [*still, *clips.talking()[0]])
    (read,) = live.end()
    texts = [one.text for one in read.alternatives]
    assert texts[0] == read.text
    assert len(set(texts)) == 3
    shares = np.array([one.share for one in read.alternatives])
    assert (shares > 0).all()
    assert shares.sum() <= 1
    assert [one["text"] for one in to_fields(read)["alternatives"]] == texts
    assert "alternatives" not in to_fields(push(reader.live(), [*still, *clips.talking()[0], *still])[0])
    greedy = reader.live("greedy", alternatives=3)
    (spelled,) = push(greedy, [*still, *clips.talking()[0], *still])
    assert [one.text for one in spelled.alternatives] == [spelled.text], "without a grammar there is one"
