"""A transcript as JSON in the layout of Whisper, OpenAI's speech recogniser, with what a lip reader has to add.

The layout is that of ``whisper --output_format json --word_timestamps True``
(https://github.com/openai/whisper, whisper/transcribe.py, whisper/timing.py and whisper/utils.py): ``text``,
``language``, ``segments[]`` with ``id``, ``seek``, ``start``, ``end``, ``text``, ``tokens``, ``temperature``,
``avg_logprob``, ``compression_ratio``, ``no_speech_prob``, ``words[]``, and of a word ``word``, ``start``, ``end``,
``probability``. There a sentence and a word begin with the space before them, so that words put together without
anything between are the sentence; so they do here.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from gunileo.errors import GunileoError
from gunileo.output.transcript import Segment, Transcript, Word, spoken_words
from gunileo.util.files import FileError

_Said = TypeVar("_Said", Segment, Word)
_LEAST = 1e-4  # probability, so that each has a logarithm; what is written has four places


class JsonError(GunileoError):
    """A file that holds no transcript."""


def to_json(transcript: Transcript) -> str:
    """``to_fields`` as text. Times are rounded to milliseconds, confidences to four places."""
    return json.dumps(to_fields(transcript), indent=2, ensure_ascii=False) + "\n"


def to_fields(transcript: Transcript) -> dict[str, Any]:
    """``{"text", "language", "segments": [{"id", "seek", "start", "end", "text", "tokens", "temperature",
    "avg_logprob", "compression_ratio", "no_speech_prob", "words": [{"word", "start", "end", "probability"}]}]}`` as
    Whisper has it.

    ``"avg_logprob"`` is the mean of the natural logarithms of the words' probabilities, in Whisper that of its tokens'.
    ``"seek"`` is the start in hundredths of a second. ``"compression_ratio"`` is the text's bytes by those that zlib
    makes of them. ``"tokens"`` is empty and ``"temperature"`` 0, as nothing is made of Whisper's tokens and nothing is
    drawn by chance. ``"no_speech_prob"`` is always 0: it is not measured.

    Ours are ``"confidence"`` and ``"sure"`` of each segment and of the whole, ``"file"``, ``"model"``, and
    ``"duration"`` where it is known. ``"calibrated": false`` comes with the confidences of a model that has no
    calibration, ``"alternatives"`` where others were asked for, and ``"hidden"``, pairs of start and end, where the
    mouth was hidden while a sentence was said. Where there are several speakers, segments and words have a
    ``"speaker"``. ``"text"`` has a line for each segment, without the space before it.
    """
    fields: dict[str, Any] = {
        "text": transcript.text,
        "language": transcript.language,
        "segments": [
            _segment(number, segment, words) for number, (segment, words) in enumerate(spoken_words(transcript))
        ],
        "file": transcript.file,
        "model": transcript.model,
        "confidence": round(transcript.confidence, 4),
        "sure": transcript.sure,
    }
    if not transcript.calibrated:
        fields["calibrated"] = False
    if transcript.alternatives:
        fields["alternatives"] = [{**asdict(one), "share": round(one.share, 4)} for one in transcript.alternatives]
    if transcript.hidden:
        fields["hidden"] = [[round(start, 3), round(end, 3)] for start, end in transcript.hidden]
    if transcript.duration is not None:
        fields["duration"] = round(transcript.duration, 3)
    return fields


def read_json(path: Path) -> Transcript:
    """The transcript in a file that ``to_json`` wrote, its numbers as they were rounded; it has ``segments`` always.

    Raises ``JsonError`` if it holds anything else, ``FileError`` if it can't be opened.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        said = [_said(segment, Segment, "text", "start", "end", "confidence", "sure") for segment in fields["segments"]]
        words = [
            _said(word, Word, "word", "start", "end", "probability")
            for segment in fields["segments"]
            for word in segment["words"]
        ]
        return Transcript(
            _typed(fields, "file", str),
            _typed(fields, "text", str),
            tuple(sorted(words, key=attrgetter("start"))),
            _typed(fields, "confidence", float, int),
            _typed(fields, "model", str),
            _typed(fields, "sure", bool),
            tuple(said),
            _typed(fields, "duration", float, int) if "duration" in fields else None,
            calibrated=_typed({"calibrated": True, **fields}, "calibrated", bool),
            language=_typed(fields, "language", str),
            hidden=tuple(_stretch(pair) for pair in _typed({"hidden": [], **fields}, "hidden", list)),
        )
    except OSError as error:
        raise FileError(f"{path}: can't be opened ({error.strerror}); read the video again") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise JsonError(f"{path}: holds no transcript of this version; read the video again") from error


def _said(fields: dict[str, Any], kind: Callable[..., _Said], text: str, *others: str) -> _Said:
    """A segment or a word, of the fields that ``_segment`` writes."""
    numbers = (_typed(fields, name, float, int) for name in others)  # what is true or false is one, too
    return kind(
        _typed(fields, text, str).removeprefix(" "), *numbers, _typed({"speaker": "", **fields}, "speaker", str)
    )


def _stretch(pair: Any) -> tuple[float, float]:
    """Start and end; raises as ``_typed``."""
    start, end = (_typed({"time": time}, "time", float, int) for time in pair)
    return float(start), float(end)


def _typed(fields: dict[str, Any], name: str, *kinds: type) -> Any:
    """A field; ``TypeError`` if it is of no such kind."""
    if not isinstance(fields[name], kinds):
        raise TypeError(name)
    return fields[name]


def _segment(number: int, segment: Segment, words: Sequence[Word]) -> dict[str, Any]:
    text = f" {segment.text}"
    return {
        "id": number,
        "seek": round(1000 * segment.start) // 10,  # in Whisper's frames, of which a second has 100
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": _mean_log([word.confidence for word in words] or [segment.confidence]),
        "compression_ratio": round(len(text.encode()) / len(zlib.compress(text.encode())), 4),
        "no_speech_prob": 0.0,
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


def _mean_log(probabilities: Sequence[float]) -> float:
    """Of the probabilities as they are written, so that a file gives the same."""
    return round(sum(math.log(max(round(one, 4), _LEAST)) for one in probabilities) / len(probabilities), 4)


def _speaker(said: Segment | Word) -> dict[str, str]:
    return {"speaker": said.speaker} if said.speaker else {}
