"""Labels beside clips in the forms that corpora and tools have them: words, and their times where they are told.

Plain text; LRS2's and LRS3's (https://www.robots.ox.ac.uk/~vgg/data/lip_reading/); subtitles, SubRip and WebVTT;
Praat's TextGrid (https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html); HTK's .lab (The HTK Book, 6.2.1)
and prompts of TIMIT, as TCD-TIMIT has them.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from gunileo.corpus.grid import encode
from gunileo.corpus.labels import CorpusError, WordTime, read_lines, spoken

Label = tuple[str, tuple[WordTime, ...]]  # the words, and when each is said if that is told
Timed = tuple[str, float, float]

_FIELD = re.compile(r"\s*([A-Za-z_]\w*)(?:\s+\d+)?\s*[:=](?:\s|$)")  # "Conf: 4", "Speaker 1: ..."
_NAMES = re.compile(
    r"\s*(?:[A-Z][\w.'\u2019-]*\s+){1,3}(?:[A-Z][\w.'\u2019-]*|\(.*\)|\d+)\s*:(?:\s|$)"
)  # "Ann Lee: ..."
_TABLE = re.compile(
    r'\W*(word|frame|start|begin|time)\b"?[\s,;]+"?(start|end|x|begin|word|stop|label)\b', re.IGNORECASE
)
_NUMBERS = re.compile(r"\d[.:]\d|^\s*\d+[\s,;]+\d{3,}[\s,;]+\D")  # times, which are said otherwise
_CSV = re.compile(r"\S[,;]\S")  # "file,text" in each line
_LRS_FIELDS = frozenset({"text", "conf", "ref"})
_NOISE = re.compile(r"\{\w+\}|\[[^]]*\]|<[^>]*>")  # {LG} of LRS, [music] and tags of subtitles
# Of subtitles: (sighs), {\an8}, notes of music, >> where another speaks.
_BRACKETS = re.compile(r"\([^)]*\)|\{[^}]*\}|[\u266a\u266b]|>>+")
_WITHIN = re.compile(r"<(?:\d+:)?\d\d:\d\d\.\d{3}>")  # the time of a word
_CLOCK = re.compile(r"((?:\d+:)?\d\d:\d\d[.,]\d{3})\s+-->\s+(?:\d+:)?\d\d:\d\d[.,]\d{3}")
_TOKEN = re.compile(r'(?<!\S)(?:"(?:[^"]|"")*"|[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|<exists>)(?!\S)')
_SILENT = frozenset({"", "sil", "sp", "spn", "silence", "pau", "#", "h#", "<sil>", "<p:>", "<eps>"})
_HTK_UNITS = 10_000_000  # .lab files count in 100 ns
# TIMIT's phones: a .lab of phones has them in nearly each line.
_PHONE = re.compile(
    "aa|ae|ah|ao|aw|ax|axr|ay|[bdgkpt]cl|ch|dh|dx|eh|el|em|en|eng|epi|er|ey|hh|hv|ih|ix|iy|jh|ng|nx|ow|oy|sh|th|uh|uw|"
    "ux|zh|[bdgkptqfvszmnrlwy]"
)


def read_text(path: Path | str) -> str:
    """The words of a ``.txt``, plain, LRS's or TIMIT's, on one line, in lower case and without punctuation.

    Raises ``CorpusError`` as ``read_label`` does.
    """
    return _checked(path, _text(path))[0]


def read_label(path: Path | str) -> Label:
    """The words in a ``.txt``, ``.lab``, ``.srt``, ``.vtt`` or ``.TextGrid``, and their times in seconds, if told.

    Words are in lower case, one space between them, without punctuation. Raises ``CorpusError`` naming the file if it
    says nothing, if a line is no speech but a header or a table's, if it is a guess of Gunileo's own ("not sure:"),
    or if it has a character that is neither a-z, 1-9 nor a space.
    """
    read = LABELS.get(Path(path).suffix.rstrip().lower(), _text)
    return _checked(path, read(path))


def _checked(path: Path | str, label: Label) -> Label:
    text, words = label
    if not text:
        raise CorpusError(f"{path} has no words in it; write what the clip says")
    try:
        encode(text)
    except ValueError as error:
        raise CorpusError(f"{path}: {error}") from None
    return text, words if " ".join(word.word for word in words) == text else ()


def _text(path: Path | str) -> Label:
    lines = read_lines(path)
    if not any(line.strip() for line in lines):
        raise CorpusError(f"{path} is empty; write what the clip says")
    if any((match := _FIELD.match(line)) and match[1].lower() == "text" for line in lines):
        return _lrs(path, lines)
    if prompt := re.fullmatch(r"\s*\d+\s+\d+\s+(\D.*)", "\n".join(lines).strip()):  # TIMIT: first and last sample
        return spoken(prompt[1]), ()
    for number, line in enumerate(lines, 1):
        _refuse_headers(path, number, line)
    filled = [line for line in lines if line.strip()]
    if len(filled) > 1 and all(map(_CSV.search, filled)):
        first = filled[0].strip()[:60]
        raise CorpusError(f"{path}: it is a table, with {first!r} as its first line; keep only what the clip says")
    return spoken(" ".join(lines)), ()


def _refuse_headers(path: Path | str, number: int, line: str) -> None:
    """``CorpusError`` if a line of a text is none that is spoken."""
    shown = f"{path}: line {number} is {line.strip()[:60]!r}"
    if line.strip().lower().startswith("not sure:"):
        raise CorpusError(f"{path}: line {number} is a guess ({line.strip()[:60]!r}); write what the clip says")
    if "-->" in line or line.strip() == "WEBVTT":
        raise CorpusError(f"{shown}, from subtitles; name the file .srt or .vtt")
    if _FIELD.match(line) or _NAMES.match(line) or _TABLE.match(line) or "\t" in line.strip():
        raise CorpusError(f"{shown}, a header or a table; keep only what the clip says")
    if _NUMBERS.search(line):
        raise CorpusError(f"{shown}, with numbers as in a table of times; spell out what the clip says")


def _lrs(path: Path | str, lines: list[str]) -> Label:
    """LRS2 and LRS3: ``Text:  WORDS``, other fields, and in the pretrain part a table ``WORD START END ASDSCORE``."""
    text, table, timed = "", "", list[Timed]()
    for number, line in enumerate(lines, 1):
        fields = line.split()
        match = _FIELD.match(line)
        if not fields:
            continue
        if match and match[1].lower() in _LRS_FIELDS:
            text = line[match.end() :] if match[1].lower() == "text" else text
        elif _TABLE.match(line):
            table = fields[0].lower()
        elif table == "word":
            timed.append(_row(path, number, line, (fields[0], *fields[1:3]), 1.0))
        elif table != "frame":  # LRS3's table of faces
            raise CorpusError(f"{path}: line {number} is {line.strip()[:60]!r}, not a line of LRS; correct the label")
    return spoken(_NOISE.sub(" ", text)), _words(path, timed)


def _row(path: Path | str, number: int, line: str, fields: tuple[str, ...], unit: float) -> Timed:
    """A word with its start and end, in ``unit`` a second."""
    try:
        word, start, end = fields[0], float(fields[1]) / unit, float(fields[2]) / unit
    except (IndexError, ValueError, OverflowError):
        message = f"{path}: line {number} is {line.strip()[:60]!r}, not a word with start and end; correct the label"
        raise CorpusError(message) from None
    return word, start, end


def _words(path: Path | str, timed: Iterable[Timed]) -> tuple[WordTime, ...]:
    """Words in order; those that punctuation joins share their time by their letters."""
    words: list[WordTime] = []
    last = 0.0
    for text, start, end in timed:
        if text.strip().lower() in _SILENT:
            continue
        parts = spoken(_NOISE.sub(" ", text)).split()
        if not (math.isfinite(end) and last - 0.005 <= start < end > last):  # rounded times may overlap by that
            before = f", after a word that ends at {last:g} s" if start < last else ""
            raise CorpusError(f"{path}: {text!r} is said from {start:g} to {end:g} s{before}; correct the times")
        start = max(last, start)
        letters = sum(map(len, parts))
        for part in parts:
            last = start + (end - start) * len(part) / letters
            words.append(WordTime(part, round(start, 6), round(last, 6)))
            start, letters = last, letters - len(part)
    return tuple(words)


def _subtitles(path: Path | str) -> Label:
    """SubRip and WebVTT: what its cues say in order of time, without tags and what is in brackets."""
    content = "\n".join(read_lines(path))
    web = content.startswith("WEBVTT")
    rolling = web and bool(_WITHIN.search(content))  # as YouTube's: a cue begins with the line before
    cues: list[tuple[str, list[str]]] = []
    for block in re.split(r"\n\n" if web else r"\n[ \t]*\n", content):
        lines = [line for line in block.splitlines() if line.strip()]
        at = next((number for number, line in enumerate(lines[:2]) if "-->" in line), None)
        if at is not None:
            cues.append(_cue(path, lines[at:]))
        elif lines and not re.match(r"WEBVTT|NOTE|STYLE|REGION", lines[0]):
            raise CorpusError(f"{path}: {lines[0].strip()[:60]!r} does not start a subtitle cue; correct the label")
    if not cues:
        raise CorpusError(f"{path} has no cue; write what the clip says")
    said: list[str] = []
    for _, lines in sorted(cues, key=lambda cue: cue[0]):
        again = rolling and said[-1:] == lines[:1]
        said += lines[again:]
    return spoken(" ".join(said)), ()


def _cue(path: Path | str, lines: list[str]) -> tuple[str, list[str]]:
    """When a cue starts, in digits that sort, and its lines of speech."""
    clock = _CLOCK.match(lines[0].strip())
    if not clock:
        raise CorpusError(f"{path}: {lines[0].strip()[:60]!r} has no times such as 00:00:01,000; correct the label")
    said = []
    for line in lines[1:]:
        if "-->" in line:
            raise CorpusError(f"{path}: {line.strip()[:60]!r} has no empty line before its cue; correct the label")
        text = " ".join(_BRACKETS.sub(" ", html.unescape(_NOISE.sub(" ", line))).split())
        if text.lower().startswith("not sure:"):
            raise CorpusError(f"{path}: {line.strip()[:60]!r} is a guess; write what the clip says")
        if _FIELD.match(text) or _NAMES.match(text):
            raise CorpusError(f"{path}: {line.strip()[:60]!r} names who speaks; keep only what the clip says")
        said += [text] if text else []
    return re.sub(r"\D", "", clock[1]).zfill(12), said


def _lab(path: Path | str) -> Label:
    """HTK's ``start end word`` a line, in 100 ns, or in seconds where there is a point; or a plain text, as the
    Montreal Forced Aligner takes it."""
    lines = [line for line in read_lines(path) if line.strip()]
    if not lines or not re.match(r"\s*\d+(\.\d+)?\s+\d+(\.\d+)?\s+\S", lines[0]):
        return _text(path)
    unit = 1 if any("." in time for line in lines for time in line.split()[:2]) else _HTK_UNITS
    timed = []
    for number, line in enumerate(lines, 1):
        fields = line.split()
        timed.append(_row(path, number, line, (fields[2] if len(fields) > 2 else "", *fields[:2]), unit))
    names = [text.lower() for text, *_ in timed if text.lower() not in _SILENT]
    if sum(bool(_PHONE.fullmatch(name)) for name in names) > len(names) / 2:
        raise CorpusError(f"{path} has phones and no words; put a label with words beside the clip")
    words = _words(path, timed)
    return " ".join(word.word for word in words), words


def _textgrid(path: Path | str) -> Label:
    """Praat's TextGrid, long or short: its tier of words, or the only one there is."""
    tiers = _tiers(path)
    for name, intervals in tiers:
        if any(text.strip().lower().startswith("not sure:") for text, _, _ in intervals):
            raise CorpusError(f"{path}: its tier {name!r} has a guess ('not sure:'); write what the clip says")
    named = [tier for tier in tiers if re.search(r"\b(words?|wrd|ort)\b", tier[0].lower().replace("_", " "))]
    chosen = named or [tier for tier in tiers if any(text.strip() for text, _, _ in tier[1])]
    if len(chosen) != 1:
        names = ", ".join(repr(name) for name, _ in tiers) or "none"
        raise CorpusError(f"{path}: which tier has the words? There are {names}; name one 'words'")
    words = _words(path, chosen[0][1])
    whole = any(len(spoken(text).split()) > 1 and "-" not in text for text, _, _ in chosen[0][1])
    return " ".join(word.word for word in words), () if whole else words


def _tiers(path: Path | str) -> list[tuple[str, list[Timed]]]:
    """The interval tiers; as Praat itself does, only free-standing numbers and texts in quotes are looked at."""
    tokens = _TOKEN.findall("\n".join(read_lines(path)))
    try:
        if tokens[:2] != ['"ooTextFile"', '"TextGrid"'] or tokens[4] != "<exists>":
            raise ValueError
        at, tiers = 6, []
        for _ in range(int(tokens[5])):
            kind, name, count = tokens[at], _unquoted(tokens[at + 1]), int(tokens[at + 4])
            if count > len(tokens):
                raise ValueError
            step = 3 if kind == '"IntervalTier"' else 2
            rows = [tokens[at + 5 + step * n : at + 5 + step * (n + 1)] for n in range(count)]
            if step == 3:
                tiers.append((name, [(_unquoted(row[2]), float(row[0]), float(row[1])) for row in rows]))
            at += 5 + step * count
    except (ValueError, IndexError):
        raise CorpusError(f"{path} is not a TextGrid in text form, or is damaged; save it again in Praat") from None
    return tiers


def _unquoted(token: str) -> str:
    if token[0] != '"':
        raise ValueError
    return token[1:-1].replace('""', '"')


# Suffix → reader; of several labels beside a clip the first in this order is taken.
LABELS: dict[str, Callable[[Path | str], Label]] = {
    ".textgrid": _textgrid,
    ".txt": _text,
    ".lab": _lab,
    ".vtt": _subtitles,
    ".srt": _subtitles,
}
