"""Corpora on disk: which video says what, and when each word is said.

A finder pairs videos with labels by name, never by order. It opens labels but no video. What it
can't understand it reports in ``Corpus.rejected`` and leaves out.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gunileo.corpus.grid import code_to_text
from gunileo.corpus.labels import CorpusError, WordTime, read_align, read_phones, read_text

VIDEO_SUFFIXES = frozenset({".mpg", ".mpeg", ".mp4", ".m4v", ".mov", ".webm", ".avi", ".mkv"})
_SPEAKER = re.compile(r"s\d+", re.IGNORECASE)
_LOMBARD = re.compile(r"(s\d+)_[lp]_(.+)", re.IGNORECASE)
_WRONG = re.compile(r"_WRONG_?", re.IGNORECASE)  # what follows it in a Lombard name was said


@dataclass(frozen=True)
class Utterance:
    """One clip: ``id`` as in published split lists, ``words`` empty where no times are known."""

    id: str
    speaker: str
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

    def summary(self, names: int | None = 10) -> str:
        """Counts, then the first ``names`` (all if None) of what has no partner or was rejected."""
        counts = f"{self.videos} videos, {self.labels} labels, {self.pairs} pairs, {len(self.utterances)} usable"
        lines = [counts]
        lines += _listing("videos without label", [str(path) for path in self.without_label], names)
        lines += _listing("labels without video", [str(path) for path in self.without_video], names)
        lines += _listing("rejected", [f"{path}: {reason}" for path, reason in self.rejected], names)
        return "\n".join(lines)


def find_corpus(root: Path | str) -> Corpus:
    """The corpus in a folder: Lombard GRID or GRID where names or folders say so, else a plain folder.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    root = Path(root)
    videos = _videos(root)
    if any(_LOMBARD.fullmatch(video.stem) for video in videos):
        return find_lombard(root)
    if any(_speaker(root, video) and _is_code(video.stem) for video in videos) or find_files(root, {".align"}):
        return find_grid(root)
    return find_folder(root)


def find_grid(root: Path | str) -> Corpus:
    """GRID: ``speaker/*.mpg`` with ``align/speaker/*.align``, in any nesting such as ``s1/s1/``.

    The transcript comes from the file's name (``s1/bbaf2n``, z = zero), so a clip without an
    ``.align`` is listed in ``without_label`` and is still an utterance, with no word times. Labels
    go to the clip of their own speaker; one filed under a wrong speaker is found by its name alone.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    root = Path(root)

    def understand(video: Path, label: Path | None) -> Utterance:
        speaker, code = _speaker(root, video), video.stem.lower()
        if not speaker:
            raise CorpusError("is in no speaker's folder; move it into one named s1, s2, ...")
        text = _text_of(code)
        words = read_align(label) if label else ()
        said = " ".join(word.word for word in words)
        if label and said != text:
            raise CorpusError(f"{label} says {said!r} but the name says {text!r}; mend or delete the label")
        return Utterance(f"{speaker}/{code}", speaker, video, text, words)

    # No two speakers of GRID share a sentence, so a name is enough for a label in the wrong folder.
    partners = _Partners(lambda path: f"{_speaker(root, path)}/{path.stem.lower()}", lambda path: path.stem.lower())
    return _pair(_videos(root), find_files(root, {".align"}), partners, understand)


def find_lombard(root: Path | str) -> Corpus:
    """Lombard GRID: ``front/s10_l_bbat9p.mov`` (or ``side/``) with ``alignment/s10_l_bbat9p.json``.

    The transcript comes from the sentence code in the name; in ``s10_l_bbat9p_WRONG_bbat9a`` the
    speaker misspoke and what follows WRONG was said, whichever of the two files is named so. A clip
    without a label is listed in ``without_label`` and is still an utterance, with no word times.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    root = Path(root)

    def understand(video: Path, label: Path | None) -> Utterance:
        name = label.stem if label and _WRONG.search(label.stem) else video.stem
        match = _LOMBARD.fullmatch(name)
        if match is None:
            raise CorpusError(f"the name {name!r} isn't like s10_l_bbat9p; rename the clip")
        text = _text_of(_WRONG.split(match[2])[-1])
        words = _spread(text, label) if label else ()
        return Utterance(f"{video.absolute().parent.name}/{video.stem}", match[1].lower(), video, text, words)

    labels = [path for path in find_files(root, {".json"}) if _LOMBARD.fullmatch(path.stem)]
    partners = _Partners(lambda path: path.stem.lower(), lambda path: _WRONG.split(path.stem)[0].lower())
    return _pair(_videos(root), labels, partners, understand)


def find_folder(root: Path | str) -> Corpus:
    """A plain folder: each clip with a ``.txt`` of the same stem beside it, in folders of any depth.

    The text is read as UTF-8 and lower-cased, and punctuation, which shows on no lips, is left
    out. The speaker is the first folder of a clip's path, or "" where clips lie in ``root`` itself.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    root = Path(root)

    def understand(video: Path, label: Path | None) -> Utterance | None:
        place = video.relative_to(root).with_suffix("")
        speaker = place.parts[0] if len(place.parts) > 1 else ""
        return Utterance(place.as_posix(), speaker, video, read_text(label)) if label else None

    partners = _Partners(lambda path: str(path.with_suffix("")), lambda path: str(path.with_suffix("")))
    return _pair(_videos(root), find_files(root, {".txt"}), partners, understand)


class _Partners(NamedTuple):
    """The names by which a video and its label find each other."""

    exact: Callable[[Path], str]
    loose: Callable[[Path], str]  # for a video without an exact partner, among labels without one


def _pair(
    videos: list[Path],
    labels: list[Path],
    partners: _Partners,
    understand: Callable[[Path, Path | None], Utterance | None],
) -> Corpus:
    """Pairs videos with labels and understands each; a clip that is there twice is taken once."""
    corpus = Corpus(videos=len(videos), labels=len(labels))
    exact = {partners.exact(path): path for path in reversed(labels)}
    names = {partners.exact(video) for video in videos}
    loose = defaultdict[str, list[Path]](list)
    for path in labels:
        if partners.exact(path) not in names:
            loose[partners.loose(path)].append(path)
    taken: set[Path] = set()
    utterances: dict[str, Utterance] = {}
    for video in videos:
        near = loose[partners.loose(video)]
        label = exact.get(partners.exact(video)) or (near[0] if len(near) == 1 else None)
        if label:
            taken.add(label)
        else:
            corpus.without_label.append(video)
        try:
            utterance = understand(video, label)
        except CorpusError as error:
            corpus.rejected.append((video, str(error)))
            continue
        if utterance is None:
            continue
        first = utterances.setdefault(utterance.id, utterance)
        if first is not utterance:
            corpus.rejected.append((video, f"is {utterance.id} again, as {first.video} is; keep one of them"))
    corpus.utterances = list(utterances.values())
    corpus.without_video = [path for path in labels if path not in taken]
    return corpus


def find_files(root: Path, suffixes: Iterable[str]) -> list[Path]:
    """Files under ``root`` of some kinds in a fixed order, hidden ones and macOS leftovers left out."""
    if not root.is_dir():
        raise CorpusError(f"{root} is no folder; name the folder that holds the corpus")
    wanted = frozenset(suffixes)
    found = []
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__MACOSX")))
        chosen = (name for name in sorted(names) if os.path.splitext(name)[1].lower() in wanted)
        found += [Path(folder, name) for name in chosen if not name.startswith(".")]
    return found


def _videos(root: Path) -> list[Path]:
    videos = find_files(root, VIDEO_SUFFIXES)
    if not videos:
        raise CorpusError(f"{root} holds no video; put clips there ({', '.join(sorted(VIDEO_SUFFIXES))})")
    return videos


def _speaker(root: Path, path: Path) -> str:
    """The nearest folder above a file, up to ``root``, that is named like a GRID speaker, or ""."""
    folders = (root.absolute().name, *path.relative_to(root).parts[:-1])
    return next((folder.lower() for folder in reversed(folders) if _SPEAKER.fullmatch(folder)), "")


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


def _spread(text: str, label: Path) -> tuple[WordTime, ...]:
    """The words of a text at the times that a phone file gives."""
    words, spans = text.split(), read_phones(label)
    if len(spans) != len(words):
        raise CorpusError(f"{label} times {len(spans)} words but {text!r} has {len(words)}; mend or delete the label")
    return tuple(WordTime(word, start, end) for word, (start, end) in zip(words, spans, strict=True))


def _listing(title: str, entries: list[str], names: int | None) -> list[str]:
    if not entries:
        return []
    shown = entries[:names]
    more = [f"  ... and {len(entries) - len(shown)} more"] if len(shown) < len(entries) else []
    return [f"{len(entries)} {title}:", *(f"  {entry}" for entry in shown), *more]
