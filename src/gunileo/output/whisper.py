"""A transcript as JSON in the layout of Whisper, OpenAI's speech recogniser, with what a lip reader has to add.

The layout is that of ``whisper --output_format json --word_timestamps True``
(https://github.com/openai/whisper, whisper/transcribe.py and whisper/timing.py): ``text``, ``language``,
``segments[]`` with ``id``, ``start``, ``end``, ``text``, ``words[]``, and of a word ``word``, ``start``, ``end``,
``probability``. There a sentence and a word begin with the space before them, so that words put together without
anything between are the sentence; so they do here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gunileo.output.transcript import Segment, Transcript, Word, spoken_words

LANGUAGE = "en"  # what the shipped models read; ISO 639-1, as Whisper has it


def to_json(transcript: Transcript) -> str:
    """``to_fields`` as text. Times are rounded to milliseconds, confidences to four places."""
    return json.dumps(to_fields(transcript), indent=2, ensure_ascii=False) + "\n"


def to_fields(transcript: Transcript) -> dict[str, Any]:
    """``{"text", "language", "segments": [{"id", "start", "end", "text", "words": [{"word", "start", "end",
    "probability"}]}]}`` as Whisper has it.

    Ours are ``"confidence"`` and ``"sure"`` of each segment and of the whole, ``"file"``, ``"model"``, and
    ``"duration"`` where it is known. Where there are several speakers, segments and words have a ``"speaker"``.
    ``"text"`` has a line for each segment, without the space before it.
    """
    fields = {
        "text": transcript.text,
        "language": LANGUAGE,
        "segments": [
            _segment(number, segment, words) for number, (segment, words) in enumerate(spoken_words(transcript))
        ],
        "file": transcript.file,
        "model": transcript.model,
        "confidence": round(transcript.confidence, 4),
        "sure": transcript.sure,
    }
    return fields if transcript.duration is None else {**fields, "duration": round(transcript.duration, 3)}


def _segment(number: int, segment: Segment, words: Sequence[Word]) -> dict[str, Any]:
    return {
        "id": number,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": f" {segment.text}",
        "confidence": round(segment.confidence, 4),
        "sure": segment.sure,
        **_speaker(segment),
        "words": [
            {
                "word": f" {word.word}",
                "start": round(word.start, 3),
                "end": round(word.end, 3),
                "probability": round(word.confidence, 4),
                **_speaker(word),
            }
            for word in words
        ],
    }


def _speaker(said: Segment | Word) -> dict[str, str]:
    return {"speaker": said.speaker} if said.speaker else {}
