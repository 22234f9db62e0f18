"""What was read from one clip, and the files it is written to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gunileo.files import write_whole


@dataclass(frozen=True)
class Word:
    """One word: when it was said, in seconds from the start of the clip, and how sure the reader is, 0-1."""

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Sentence:
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
    of more than one sentence has them all in ``sentences``; its text has a line for each, and it is as sure as the
    least sure of them.
    """

    file: str
    text: str
    words: tuple[Word, ...]
    confidence: float
    model: str
    sure: bool = True
    sentences: tuple[Sentence, ...] = ()


def joined(file: str, model: str, read: Sequence[Transcript]) -> Transcript:
    """One transcript of a video whose sentences were ``read`` one after the other; without a word if there are none."""
    sentences = tuple(
        Sentence(one.text, one.words[0].start, one.words[-1].end, one.confidence, one.sure) for one in read
    )
    return Transcript(
        file,
        "\n".join(one.text for one in read),
        tuple(word for one in read for word in one.words),
        min((one.confidence for one in read), default=0.0),
        model,
        bool(read) and all(one.sure for one in read),
        sentences,
    )


def to_txt(transcript: Transcript) -> str:
    """The words alone, a line a sentence; a guess begins with ``not sure:``, so that none takes it for a reading."""
    lines = transcript.sentences or (transcript,)
    return "".join((one.text if one.sure else f"not sure: {one.text}".rstrip()) + "\n" for one in lines)


def to_json(transcript: Transcript) -> str:
    """``{"file", "text", "words": [{"word", "start", "end", "confidence"}], "confidence", "model", "sure"}``, and for
    a video of several ``"sentences": [{"text", "start", "end", "confidence", "sure"}]``.

    Times are rounded to milliseconds, confidences to four places.
    """
    fields = asdict(transcript)
    fields["confidence"] = round(transcript.confidence, 4)
    for part in (*fields["words"], *fields["sentences"]):
        part.update(start=round(part["start"], 3), end=round(part["end"], 3), confidence=round(part["confidence"], 4))
    if not transcript.sentences:
        del fields["sentences"]
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


WRITERS: dict[str, Callable[[Transcript], str]] = {"txt": to_txt, "json": to_json}  # format and file suffix → writer


def write_transcript(transcript: Transcript, stem: Path, formats: list[str]) -> list[Path]:
    """Write ``stem.txt``, ``stem.json``, ... and return their paths; folders are made where missing.

    A file appears whole or not at all: it is written beside its place and renamed into it.
    Raises ``FileError`` when the place can't be written to.
    """
    paths = [stem.with_name(f"{stem.name}.{name}") for name in formats]
    for name, path in zip(formats, paths, strict=True):
        write_whole(path, WRITERS[name](transcript))
    return paths
