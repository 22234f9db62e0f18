"""Corpora on disk: which video says what, when each word is said, and how to split them.

A finder walks a folder once and pairs videos with labels by name, never by order. It opens
labels but no video. What it can't understand it reports in ``Corpus.rejected`` and leaves out.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gunileo.errors import GunileoError
from gunileo.sentence import code_to_text, encode

VIDEO_SUFFIXES = frozenset({".mpg", ".mpeg", ".mp4", ".m4v", ".mov", ".webm", ".avi", ".mkv"})
ALIGN_UNITS = 25_000  # an .align file counts in samples of GRID's 25 kHz sound
_SILENCES = frozenset({"sil", "sp"})
_TALKER = re.compile(r"s\d+", re.IGNORECASE)
_LOMBARD = re.compile(r"(s\d+)_[lp]_(.+)", re.IGNORECASE)
_WRONG = re.compile(r"_WRONG_?", re.IGNORECASE)  # what follows it in a Lombard name was said
_UNSPOKEN = str.maketrans("-\u2013\u2014", "   ", ".,;:!?\"'\u2019\u201c\u201d()")  # punctuation shows on no lips
_LISTED = 10  # names a summary prints of each list


class CorpusError(GunileoError):
    """A corpus folder, a label file or a split list that can't be used."""


@dataclass(frozen=True)
class WordTime:
    """One word and when it is said, in seconds from the start of the clip."""

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Utterance:
    """One clip: ``id`` as in published split lists, ``words`` empty where no times are known."""

    id: str
    talker: str
    video: Path
    text: str
    words: tuple[WordTime, ...] = ()


@dataclass
class Corpus:
    """What a finder found; ``rejected`` names each file that can't be understood, with the reason."""

    utterances: list[Utterance] = field(default_factory=list)
    videos: int = 0
    labels: int = 0
    without_label: list[Path] = field(default_factory=list)
    without_video: list[Path] = field(default_factory=list)
    rejected: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def pairs(self) -> int:
        """How many videos have a label."""
        return self.videos - len(self.without_label)

    def summary(self) -> str:
        """Counts, then the first names of whatever has no partner or was rejected."""
        counts = f"{self.videos} videos, {self.labels} labels, {self.pairs} pairs, {len(self.utterances)} usable"
        lines = [counts]
        lines += _listing("videos without label", [str(path) for path in self.without_label])
        lines += _listing("labels without video", [str(path) for path in self.without_video])
        lines += _listing("rejected", [f"{path}: {reason}" for path, reason in self.rejected])
        return "\n".join(lines)


def find_corpus(root: Path | str) -> Corpus:
    """The corpus in a folder: Lombard GRID or GRID where names or folders say so, else a plain folder.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    files = _walk(root)
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    if any(_LOMBARD.fullmatch(path.stem) for path in videos):
        return find_lombard(root)
    grid_labels = any(path.suffix.lower() == ".align" for path in files)
    if grid_labels or any(_talker_of(path) and _is_code(path.stem) for path in videos):
        return find_grid(root)
    return find_folder(root)


def find_grid(root: Path | str) -> Corpus:
    """GRID: ``talker/*.mpg`` with ``align/talker/*.align``, in any nesting such as ``s1/s1/``.

    The transcript comes from the file's name (``s1/bbaf2n``, z = zero), so a clip without an
    ``.align`` is listed in ``without_label`` and is still an utterance, with no word times. Labels
    go to the clip of their own talker; one filed under a wrong talker is found by its name alone.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    corpus = Corpus()
    files = _walk(root)
    labels = _Labels([path for path in files if path.suffix.lower() == ".align"])
    corpus.labels = len(labels.paths)
    for video in _videos(files, root):
        corpus.videos += 1
        talker = _talker_of(video)
        label = labels.take(talker, video.stem)
        if label is None:
            corpus.without_label.append(video)
        try:
            if not talker:
                raise CorpusError("is in no talker's folder; move it into one named s1, s2, ...")
            text = _text_of(video.stem)
            words = _said(text, read_align(label), label) if label else ()
        except CorpusError as error:
            corpus.rejected.append((video, str(error)))
            continue
        corpus.utterances.append(Utterance(f"{talker}/{video.stem.lower()}", talker, video, text, words))
    corpus.without_video = labels.left()
    return _one_of_each(corpus)


def find_lombard(root: Path | str) -> Corpus:
    """Lombard GRID: ``front/s10_l_bbat9p.mov`` (or ``side/``) with ``alignment/s10_l_bbat9p.json``.

    The transcript comes from the sentence code in the name; in ``s10_l_bbat9p_WRONG_bbat9a`` the
    talker misspoke and what follows WRONG was said. A clip without a label is listed in
    ``without_label`` and is still an utterance, with no word times.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    corpus = Corpus()
    files = _walk(root)
    labels = _Labels([path for path in files if path.suffix.lower() == ".json" and _LOMBARD.fullmatch(path.stem)])
    corpus.labels = len(labels.paths)
    for video in _videos(files, root):
        corpus.videos += 1
        stem = video.stem
        # Only one of the two files may carry _WRONG_, so the bare name pairs them as well.
        label = labels.take("", stem) or labels.take("", _bare(stem)) or labels.take_bare(_bare(stem))
        if label is None:
            corpus.without_label.append(video)
        try:
            talker, text = _lombard_name(stem if _WRONG.search(stem) or label is None else label.stem)
            words = _spread(text, read_phones(label), label) if label else ()
        except CorpusError as error:
            corpus.rejected.append((video, str(error)))
            continue
        corpus.utterances.append(Utterance(f"{video.parent.name}/{stem}", talker, video, text, words))
    corpus.without_video = labels.left()
    return _one_of_each(corpus)


def find_folder(root: Path | str) -> Corpus:
    """A plain folder: each clip with a ``.txt`` of the same stem beside it, in folders of any depth.

    The text is read as UTF-8 and lower-cased, and punctuation, which shows on no lips, is left
    out. The talker is the first folder of a clip's path, or "" where clips lie in ``root`` itself.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    corpus = Corpus()
    root = Path(root)
    files = _walk(root)
    labels = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".txt"}
    corpus.labels = len(labels)
    videos = _videos(files, root)
    for video in videos:
        corpus.videos += 1
        label = labels.get(video.with_suffix(""))
        if label is None:
            corpus.without_label.append(video)
            continue
        place = video.relative_to(root).with_suffix("")
        try:
            text = _read_text(label)
        except CorpusError as error:
            corpus.rejected.append((video, str(error)))
            continue
        talker = place.parts[0] if len(place.parts) > 1 else ""
        corpus.utterances.append(Utterance(place.as_posix(), talker, video, text))
    stems = {video.with_suffix("") for video in videos}
    corpus.without_video = [path for stem, path in labels.items() if stem not in stems]
    return _one_of_each(corpus)


def read_align(path: Path | str) -> tuple[WordTime, ...]:
    """Word times of a GRID ``.align`` file (``start end word`` a line, 25 kHz samples), in seconds.

    Silences (``sil``, ``sp``) are left out. Raises ``CorpusError`` naming the file and line.
    """
    words = []
    last = 0.0
    for number, line in enumerate(_lines(path), 1):
        fields = line.split()
        if not fields:
            continue
        where = f"{path}: line {number}"
        if len(fields) != 3:
            raise CorpusError(f"{where} is {line.strip()!r}, not 'start end word'; mend or delete the label")
        try:
            start, end = (int(value) / ALIGN_UNITS for value in fields[:2])
        except ValueError:
            raise CorpusError(f"{where}: {line.strip()!r} has no whole-numbered start and end; mend it") from None
        if fields[2].lower() in _SILENCES:
            continue
        if not last <= start < end:
            raise CorpusError(f"{where}: {fields[2]!r} starts at {fields[0]} and ends at {fields[1]}; mend the times")
        words.append(WordTime(fields[2].lower(), start, end))
        last = end
    if not words:
        raise CorpusError(f"{path} names no word; mend or delete the label")
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
            raise CorpusError(f"{where}, {name!r}, has no place tag _B, _I, _E or _S; mend or delete the label")
        if (place in "BS") != (begun is None):
            raise CorpusError(f"{where}, {name!r}, stands where no {place} may stand; mend or delete the label")
        begun = start if begun is None else begun
        if place in "ES":
            if end <= begun or (spans and begun < spans[-1][1] - 1e-6):
                raise CorpusError(f"{where}, {name!r}, ends before its word or the one before it does; mend the times")
            spans.append((begun, end))
            begun = None
    if begun is not None:
        raise CorpusError(f"{path}: the last word has no end; mend or delete the label")
    return tuple(spans)


def read_split(path: Path | str) -> list[str]:
    """Utterance ids of a split list: one a line, blank lines and ``#`` comments left out.

    Raises ``CorpusError`` if the file can't be read or lists nothing.
    """
    names = [line.partition("#")[0].strip() for line in _lines(path)]
    names = [name for name in names if name]
    if not names:
        raise CorpusError(f"{path} lists no utterance; write one id a line, such as s1/bbaf2n")
    return names


class _Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def talker(self) -> str: ...


_Clip = TypeVar("_Clip", bound=_Named)  # an utterance of a corpus or of a cache


def split(utterances: Sequence[_Clip], names: Iterable[str]) -> list[_Clip]:
    """The utterances that a list names, in their own order.

    A published list covers all talkers, so names that aren't here are passed over;
    ``CorpusError`` if none is.
    """
    wanted = set(names)
    chosen = [utterance for utterance in utterances if utterance.id in wanted]
    if not chosen:
        here = utterances[0].id if utterances else "nothing"
        raise CorpusError(f"none of the {len(wanted)} listed utterances is here; ids here look like {here}")
    return chosen


def split_talkers(utterances: Sequence[_Clip], talkers: Iterable[str]) -> list[_Clip]:
    """The utterances of some talkers; ``CorpusError`` naming a talker who isn't here."""
    wanted = set(talkers)
    here = {utterance.talker for utterance in utterances}
    if wanted - here:
        raise CorpusError(f"talker {min(wanted - here)!r} isn't here; there are {', '.join(sorted(here))}")
    return [utterance for utterance in utterances if utterance.talker in wanted]


def validation_part(utterances: Sequence[_Clip], count: int, seed: int = 0) -> list[_Clip]:
    """``count`` utterances chosen by a hash of their ids, in their own order.

    Chosen are those whose sha256 of the id (of ``seed:id`` for another seed than 0) sorts first, so
    that the choice depends on no order and changes little as a corpus grows. ``CorpusError`` if
    there are fewer than ``count``.
    """
    if not 0 < count <= len(utterances):
        raise CorpusError(f"can't choose {count} of {len(utterances)} utterances for validation")

    def key(utterance: _Clip) -> str:
        name = utterance.id if seed == 0 else f"{seed}:{utterance.id}"
        return hashlib.sha256(name.encode()).hexdigest()

    chosen = {utterance.id for utterance in sorted(utterances, key=key)[:count]}
    return [utterance for utterance in utterances if utterance.id in chosen]


class _Labels:
    """Label files by talker and name; those never taken are left without a video."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self._taken: set[Path] = set()
        self._named: dict[str, list[Path]] = defaultdict(list)
        self._bare: dict[str, list[Path]] = defaultdict(list)
        for path in paths:
            self._named[path.stem.lower()].append(path)
            self._bare[_bare(path.stem).lower()].append(path)

    def take(self, talker: str, name: str) -> Path | None:
        """The label of that name in the talker's folder, or else the only one of that name."""
        found = self._named.get(name.lower(), [])
        own = [path for path in found if talker and _talker_of(path) == talker]
        # Half of GRID's alignments lie in wrong folders; no two of its talkers share a sentence,
        # so a name found once is that clip's.
        chosen = own[:1] or (found if len(found) == 1 else [])
        self._taken.update(chosen)
        return chosen[0] if chosen else None

    def take_bare(self, name: str) -> Path | None:
        """The only label whose name without its ``_WRONG_`` part is ``name``."""
        found = self._bare.get(name.lower(), [])
        if len(found) != 1:
            return None
        self._taken.add(found[0])
        return found[0]

    def left(self) -> list[Path]:
        return [path for path in self.paths if path not in self._taken]


def _walk(root: Path | str) -> list[Path]:
    """Every file under ``root`` in a fixed order, hidden ones and macOS leftovers left out."""
    if not os.path.isdir(root):
        raise CorpusError(f"{root} is no folder; name the folder that holds the corpus")
    found = []
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__MACOSX")))
        here = Path(folder)
        found += [here / name for name in sorted(names) if not name.startswith(".")]
    return found


def _videos(files: list[Path], root: Path | str) -> list[Path]:
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    if not videos:
        raise CorpusError(f"{root} holds no video; put clips there ({', '.join(sorted(VIDEO_SUFFIXES))})")
    return videos


def _talker_of(path: Path) -> str:
    """The nearest folder above a file that is named like a GRID talker, or ""."""
    folders = (folder.lower() for folder in reversed(path.absolute().parent.parts) if _TALKER.fullmatch(folder))
    return next(folders, "")


def _is_code(name: str) -> bool:
    try:
        code_to_text(name)
    except ValueError:
        return False
    return True


def _text_of(code: str) -> str:
    try:
        return code_to_text(code)
    except ValueError as error:
        raise CorpusError(f"the name tells no sentence: {error}") from None


def _bare(stem: str) -> str:
    return _WRONG.split(stem)[0]


def _lombard_name(stem: str) -> tuple[str, str]:
    """Talker and text of a Lombard GRID name."""
    match = _LOMBARD.fullmatch(stem)
    if match is None:
        raise CorpusError(f"the name {stem!r} isn't like s10_l_bbat9p; rename the clip")
    return match[1].lower(), _text_of(_WRONG.split(match[2])[-1])


def _said(text: str, words: tuple[WordTime, ...], label: Path) -> tuple[WordTime, ...]:
    """The words of a label, once they are known to be those of the clip's name."""
    said = " ".join(word.word for word in words)
    if said != text:
        raise CorpusError(f"{label} says {said!r} but the name says {text!r}; mend or delete the label")
    return words


def _spread(text: str, spans: tuple[tuple[float, float], ...], label: Path) -> tuple[WordTime, ...]:
    words = text.split()
    if len(spans) != len(words):
        raise CorpusError(f"{label} times {len(spans)} words but {text!r} has {len(words)}; mend or delete the label")
    return tuple(WordTime(word, start, end) for word, (start, end) in zip(words, spans, strict=True))


def _phones(path: Path | str) -> list[Any]:
    try:
        content = json.loads("\n".join(_lines(path)))
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is no JSON ({error}); mend or delete the label") from None
    # One utterance a file; its key is a name that some files spell otherwise than the file's own.
    phones = next(iter(content.values())) if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(phones, list) or not phones:
        raise CorpusError(f"{path} isn't one utterance with a list of phones; mend or delete the label")
    return phones


def _phone(phone: Any, where: str) -> tuple[str, float, float]:
    """Name, start and end in seconds of one entry of a phone file."""
    try:
        name, start, length = phone["phone"], float(phone["offset"]), float(phone["duration"])
    except (KeyError, TypeError, ValueError):
        raise CorpusError(f"{where} has no phone, offset or duration; mend or delete the label") from None
    if not isinstance(name, str) or not (start >= 0 and length >= 0 and math.isfinite(start + length)):
        raise CorpusError(f"{where} is no name with times of 0 or more; mend or delete the label")
    return name, start, round(start + length, 6)


def _read_text(label: Path) -> str:
    text = " ".join(" ".join(_lines(label)).lower().translate(_UNSPOKEN).split())
    if not text:
        raise CorpusError(f"{label} is empty; write what the clip says")
    try:
        encode(text)
    except ValueError as error:
        raise CorpusError(f"{label}: {error}") from None
    return text


def _lines(path: Path | str) -> list[str]:
    try:
        return Path(path).read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise CorpusError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path} is no UTF-8 text; save it as UTF-8") from None


def _one_of_each(corpus: Corpus) -> Corpus:
    """Leaves one clip of each id; the others (a re-encoded copy, say) are reported."""
    first: dict[str, Utterance] = {}
    for utterance in corpus.utterances:
        kept = first.setdefault(utterance.id, utterance)
        if kept is not utterance:
            corpus.rejected.append((utterance.video, f"is {utterance.id} again, as {kept.video} is; keep one"))
    corpus.utterances = list(first.values())
    return corpus


def _listing(title: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    more = [f"  ... and {len(entries) - _LISTED} more"] if len(entries) > _LISTED else []
    return [f"{len(entries)} {title}:", *(f"  {entry}" for entry in entries[:_LISTED]), *more]
