"""What was read from one video: words, segments, how sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """One word: when it was said, in seconds from the start of the video, and how sure the reader is, 0-1."""

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Segment:
    """One sentence of a long video: when its first word starts and its last ends, in seconds, and how sure it is."""

    text: str
    start: float
    end: float
    confidence: float
    sure: bool


@dataclass(frozen=True)
class Transcript:
    """All that was read from ``file`` by ``model``.

    ``confidence`` is the whole sentence's, 0-1; not ``sure`` means that the text is a guess and no reading. A video
    of more than one sentence has them all in ``segments``; its text has a line for each, and it is as sure as the
    least sure of them. Times are those of a player's clock, in seconds from the start of the file: it starts with the
    sound where that comes before the picture.
    """

    file: str
    text: str
    words: tuple[Word, ...]
    confidence: float
    model: str
    sure: bool = True
    segments: tuple[Segment, ...] = ()
    duration: float | None = None  # seconds from the video's start to its picture's end, where that is known


def joined(file: str, model: str, read: Sequence[Transcript], duration: float | None = None) -> Transcript:
    """One transcript of a video whose sentences were ``read`` one after the other; without a word if there are none."""
    segments = tuple(Segment(one.text, one.words[0].start, one.words[-1].end, one.confidence, one.sure) for one in read)
    return Transcript(
        file,
        "\n".join(one.text for one in read),
        tuple(word for one in read for word in one.words),
        min((one.confidence for one in read), default=0.0),
        model,
        bool(read) and all(one.sure for one in read),
        segments,
        duration,
    )
