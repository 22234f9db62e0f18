"""What was read from one clip, and the files it is written to."""

from __future__ import annotations

import json
from collections.abc import Callable
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
class Transcript:
    """All that was read from ``file`` by ``model``.

    ``confidence`` is the whole sentence's, 0-1; not ``sure`` means that the text is a guess and no reading.
    """

    file: str
    text: str
    words: tuple[Word, ...]
    confidence: float
    model: str
    sure: bool = True


def to_txt(transcript: Transcript) -> str:
    """The words alone, on one line; a guess begins with ``not sure:``, so that none takes it for a reading."""
    return (transcript.text if transcript.sure else f"not sure: {transcript.text}".rstrip()) + "\n"


def to_json(transcript: Transcript) -> str:
    """``{"file", "text", "words": [{"word", "start", "end", "confidence"}], "confidence", "model", "sure"}``.

    Times are rounded to milliseconds, confidences to four places.
    """
    fields = asdict(transcript)
    fields["confidence"] = round(transcript.confidence, 4)
    for word in fields["words"]:
        word.update(start=round(word["start"], 3), end=round(word["end"], 3), confidence=round(word["confidence"], 4))
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
