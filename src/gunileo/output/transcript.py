"""What was read from one video: words, segments, how sure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Word:
    """One word: when it was said, in seconds from the start of the video, and how sure the reader is, 0-1.

    ``speaker`` names the face that said it, if the transcript has several.
    """

    word: str
    start: float
    end: float
    confidence: float
    speaker: str = ""


@dataclass(frozen=True)
class Segment:
    """One sentence of a long video: when its first word starts and its last ends, in seconds, and how sure it is.

    ``speaker`` is as in ``Word``.
    """

    text: str
    start: float
    end: float
    confidence: float
    sure: bool
    speaker: str = ""


@dataclass(frozen=True)
class Alternative:
    """A sentence that may have been said, and its share, 0-1, among all that the grammar allows."""

    text: str
    share: float


@dataclass(frozen=True)
class Transcript:
    """All that was read from ``file`` by ``model``.

    ``confidence`` is that of the whole sentence, 0-1. If it is not ``sure``, the text is a guess. If a video has more
    than one sentence, ``segments`` holds them. Then the text has a line for each, and it is as sure as the least sure
    of them. If it is not ``calibrated``, it is not known how often this model is right. Then nothing is marked as a
    guess, and the confidences are the decoder's own.

    Times are in seconds from the start of the file, as a player counts them: from the start of the sound, if that comes
    before the picture. ``alternatives`` are the likeliest sentences, the best first, if they were asked for. ``hidden``
    are the stretches, from and to, in which the mouth was hidden while a sentence was said, so that it is a guess.
    """

    file: str
    text: str
    words: tuple[Word, ...]
    confidence: float
    model: str
    sure: bool = True
    segments: tuple[Segment, ...] = ()
    duration: float | None = None  # seconds from the video's start to its picture's end, where that is known
    calibrated: bool = True
    alternatives: tuple[Alternative, ...] = ()
    language: str = "en"  # that the model reads, ISO 639-1
    hidden: tuple[tuple[float, float], ...] = ()


def joined(
    file: str, model: str, read: Sequence[Transcript], duration: float | None = None, language: str = "en"
) -> Transcript:
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
        all(one.calibrated for one in read),
        language=language,
        hidden=tuple(dict.fromkeys(stretch for one in read for stretch in one.hidden)),  # one may span two sentences
    )


def together(read: Mapping[str, Transcript]) -> Transcript:
    """One transcript of all that several faces of a video say, by their names: sentences and words in order of time,
    each with its ``speaker``. ``ValueError`` if there are none."""
    if not read:
        raise ValueError("no transcripts to put together")
    segments, words = list[Segment](), list[Word]()
    for speaker, one in read.items():
        segments += [replace(segment, speaker=speaker) for segment in spoken_segments(one)]
        words += [replace(word, speaker=speaker) for word in one.words]
    segments.sort(key=lambda segment: segment.start)
    words.sort(key=lambda word: word.start)
    first = next(iter(read.values()))
    return replace(
        first,
        text="\n".join(segment.text for segment in segments),
        words=tuple(words),
        confidence=min(one.confidence for one in read.values()),
        sure=all(one.sure for one in read.values()),
        segments=tuple(segments),
        hidden=tuple(sorted(stretch for one in read.values() for stretch in one.hidden)),
    )


def spoken_segments(transcript: Transcript) -> Sequence[Segment]:
    """The sentences of a transcript, also of one that is a single sentence."""
    if transcript.segments or not transcript.words:
        return transcript.segments
    start, end = transcript.words[0].start, transcript.words[-1].end
    return [Segment(transcript.text, start, end, transcript.confidence, transcript.sure)]


def spoken_words(transcript: Transcript) -> Iterator[tuple[Segment, tuple[Word, ...]]]:
    """Each sentence of a transcript with its words: those of its speaker that end by its end and are in none before."""
    if not transcript.segments:
        yield from ((segment, transcript.words) for segment in spoken_segments(transcript))
        return
    waiting = defaultdict[str, deque[Word]](deque)
    for word in transcript.words:
        waiting[word.speaker].append(word)
    for segment in transcript.segments:
        said, words = list[Word](), waiting[segment.speaker]
        while words and words[0].end <= segment.end:
            said.append(words.popleft())
        yield segment, tuple(said)
