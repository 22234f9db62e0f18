"""Label files of GRID: what is said in a clip and when, from .align files and Lombard GRID's phones."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gunileo.errors import GunileoError

ALIGN_UNITS = 25_000  # an .align file counts in samples of GRID's 25 kHz sound
_SILENCES = frozenset({"sil", "sp"})
# Punctuation shows on no lips. Some of it stands between words, some within.
_BETWEEN = re.compile("[-\u2013\u2014\u2026,;:!?\xab\xbb]|\\.{2,}")
_WITHIN = str.maketrans("", "", ".\"'\u2018\u2019\u201c\u201d\u201e()\u00ad\u200b\u200c\u200d\u2060\ufeff")


class CorpusError(GunileoError):
    """A corpus folder, a label file or a split list that can't be used."""


@dataclass(frozen=True)
class WordTime:
    """One word and when it is said, in seconds from the start of the clip."""

    word: str
    start: float
    end: float


def read_align(path: Path | str) -> tuple[WordTime, ...]:
    """Word times of a GRID ``.align`` file (``start end word`` a line, 25 kHz samples), in seconds.

    Silences (``sil``, ``sp``) are left out. Raises ``CorpusError`` naming the file and line.
    """
    words = []
    last = 0.0
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        if not fields:
            continue
        where = f"{path}: line {number}"
        if len(fields) != 3:
            raise CorpusError(f"{where} is {line.strip()!r}, not 'start end word'; correct or delete the label")
        try:
            start, end = (int(value) / ALIGN_UNITS for value in fields[:2])
        except (ValueError, OverflowError):
            raise CorpusError(f"{where}: {line.strip()!r} has no whole-numbered start and end; correct it") from None
        if fields[2].lower() in _SILENCES:
            continue
        if not last <= start < end:
            before = f", after a word that ends at {round(last * ALIGN_UNITS)}" if start < last else ""
            said = f"{fields[2]!r} starts at {fields[0]} and ends at {fields[1]}{before}"
            raise CorpusError(f"{where}: {said}; correct the times")
        words.append(WordTime(fields[2].lower(), start, end))
        last = end
    if not words:
        raise CorpusError(f"{path} has no word; correct or delete the label")
    return tuple(words)


def read_phones(path: Path | str) -> tuple[tuple[float, float], ...]:
    """Start and end in seconds of each word in a Lombard GRID phone file, silences left out.

    The file is ``{utterance: [{"phone", "offset", "duration"}]}``; a phone's suffix is its place in
    the word: ``_B`` begin, ``_I`` inside, ``_E`` end, ``_S`` alone. Raises ``CorpusError``.
    """
    spans: list[tuple[float, float]] = []
    begun: float | None = None
    for number, phone in enumerate(_phones(path), 1):
        where = f"{path}: phone {number}"
        name, start, end = _phone(phone, where)
        if name.split("_")[0].lower() in _SILENCES:
            continue
        place = name.rpartition("_")[2] if "_" in name else ""
        if place not in {"B", "I", "E", "S"}:
            raise CorpusError(f"{where}, {name!r}, has no place tag _B, _I, _E or _S; correct or delete the label")
        if (place in "BS") != (begun is None):
            raise CorpusError(f"{where}, {name!r}, has the tag _{place} in a wrong place; correct or delete the label")
        begun = start if begun is None else begun
        if place in "ES":
            if end <= begun or (spans and begun < spans[-1][1] - 1e-6):
                raise CorpusError(f"{where}, {name!r}: its word ends too early, or starts too early; correct the times")
            spans.append((begun, end))
            begun = None
    if begun is not None:
        raise CorpusError(f"{path}: the last word has no end; correct or delete the label")
    return tuple(spans)


def spoken(text: str) -> str:
    """The words of a text in lower case, one space between them, without what shows on no lips: punctuation."""
    return " ".join(_BETWEEN.sub(" ", text.lower()).translate(_WITHIN).split())


def read_lines(path: Path | str) -> list[str]:
    """The lines of a text file, UTF-8 or UTF-16 with its mark; ``CorpusError`` if it can't be read."""
    try:
        content = Path(path).read_bytes()
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        return content.decode("utf-16" if wide else "utf-8-sig").splitlines()
    except OSError as error:
        raise CorpusError(f"{path} can't be read ({error.strerror}); check the path and its permissions") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path} is not UTF-8 text; save it as UTF-8") from None


def _phones(path: Path | str) -> list[Any]:
    try:
        content = json.loads("\n".join(read_lines(path)))
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is not JSON ({error}); correct or delete the label") from None
    # One utterance a file; its key is a name that some files spell otherwise than the file's own.
    phones = next(iter(content.values())) if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(phones, list) or not phones:
        raise CorpusError(f"{path} isn't one utterance with a list of phones; correct or delete the label")
    return phones


def _phone(phone: Any, where: str) -> tuple[str, float, float]:
    """Name, start and end in seconds of one entry of a phone file."""
    try:
        name, start, length = phone["phone"], float(phone["offset"]), float(phone["duration"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise CorpusError(f"{where} has no phone, offset or duration; correct or delete the label") from None
    if not isinstance(name, str) or not (start >= 0 and length >= 0 and math.isfinite(start + length)):
        raise CorpusError(f"{where} is not a name with times of 0 or more; correct or delete the label")
    return name, start, round(start + length, 6)
