"""Corpora on disk: which video says what, and when each word is said.

A finder pairs videos with labels by name, never by order. It opens labels but no video. What it
can't understand it reports in ``Corpus.rejected`` and leaves out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gunileo.corpus import miracl
from gunileo.corpus.grid import code_to_text
from gunileo.corpus.labels import CorpusError, WordTime, read_align, read_phones
from gunileo.corpus.transcripts import LABELS, read_label
from gunileo.corpus.walk import VIDEO_SUFFIXES as VIDEO_SUFFIXES
from gunileo.corpus.walk import Found, plain, stem, suffix, walk
from gunileo.corpus.walk import find_files as find_files

_LABEL_SUFFIXES = frozenset({".align", ".json", *LABELS})
_SPEAKER = re.compile(r"s\d+", re.IGNORECASE)
_LOMBARD = re.compile(r"(s\d+)_[lp]_(.+)", re.IGNORECASE)
_TCD = re.compile(r"\d\d[mft]|lipspkr\d+", re.IGNORECASE)  # TCD-TIMIT's volunteers and lipspeakers
# Of ISO 639-1, with the older codes that systems still use, and ISO 639-2's and 639-3's of widely spoken languages: old
# or raw is no language here, nor are fin and may.
_LANGUAGE = (
    "a[abefkmnrsvyz]|b[aegimnors]|c[aehorsuvy]|d[aevz]|e[elnostu]|f[afijory]|g[adlnuv]|h[aeiortuyz]|"
    "i[adegiknostuw]|j[aiv]|k[agijklmnorsuvwy]|l[abginotuv]|m[ghiklnrsty]|n[abdeglnorvy]|o[cjmrs]|p[ailst]|qu|"
    "r[mnouw]|s[acdeghiklmnoqrstuvw]|t[aeghiklnorstwy]|u[gkrz]|v[eio]|w[ao]|xh|y[io]|z[ahu]|"
    "eng|deu|ger|fra|fre|spa|ita|por|nld|dut|swe|nor|dan|pol|ces|cze|ron|rum|hun|ell|gre|ukr|rus|tur|ara|heb|"
    "fas|per|hin|ben|urd|tam|zho|chi|cmn|yue|jpn|kor|vie|tha|ind|msa|fil|cat"
)
_SUBTITLES = re.compile(rf"(.+)\.(?:{_LANGUAGE})(?:-\w+)*", re.IGNORECASE)  # talk.en.vtt, as they are downloaded
_WRONG = re.compile(r"_WRONG_?", re.IGNORECASE)  # what follows it in a Lombard name was said


@dataclass(frozen=True)
class Utterance:
    """One clip. ``id`` is as in published split lists, such as "s1/bbaf2n", and names the clip's files in a cache.

    ``video`` is a file, or MIRACL's folder of pictures. ``text`` is in lower case, in a-z, 1-9 and spaces. ``words``
    have their times in seconds of the video, as a player counts them; there are none if no times are known.
    """

    id: str
    speaker: str
    video: Path
    text: str
    words: tuple[WordTime, ...] = ()


@dataclass
class Corpus:
    """The utterances of a corpus. ``rejected`` names each video that can't be used, with the reason.

    ``passed_over`` names, with the reason, what else was left out: links that lead nowhere or to a file that is in the
    corpus already, folders that can't be opened, and labels beside a better one.
    """

    utterances: list[Utterance] = field(default_factory=list)
    videos: int = 0
    labels: int = 0
    without_label: list[Path] = field(default_factory=list)
    without_video: list[Path] = field(default_factory=list)
    rejected: list[tuple[Path, str]] = field(default_factory=list)
    passed_over: list[tuple[Path, str]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  # files of other kinds, by suffix

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
        lines += _listing("passed over", [f"{path}: {reason}" for path, reason in self.passed_over], names)
        if self.others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.others.most_common())
            lines.append(f"{self.others.total()} files of other kinds passed over: {kinds}")
        return "\n".join(lines)


def find_corpus(root: Path | str) -> Corpus:
    """The corpus in a folder: MIRACL-VC1, Lombard GRID or GRID, if its names or folders show that, else a plain folder.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    root = Path(root)
    if miracl.is_there(root):
        return find_miracl(root)
    found = _walked(root)
    videos = _videos(found)
    if any(_LOMBARD.fullmatch(stem(video)) for video in videos):
        return find_lombard(root)
    if any(_speaker(root, video) and _is_code(stem(video)) for video in videos) or _labels(found, {".align"}):
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
        speaker, code = _speaker(root, video), stem(video).lower()
        if not speaker:
            raise CorpusError("is not in a speaker's folder; move it into one named s1, s2, ...")
        text = _text_of(code)
        words = read_align(label) if label else ()
        said = " ".join(word.word for word in words)
        if label and said != text:
            raise CorpusError(f"{label} says {said!r} but the name says {text!r}; correct or delete the label")
        return Utterance(f"{speaker}/{code}", speaker, video, text, words)

    # No two speakers of GRID share a sentence, so a name is enough for a label in the wrong folder.
    partners = _Partners(lambda path: f"{_speaker(root, path)}/{stem(path).lower()}", lambda path: stem(path).lower())
    found = _walked(root)
    return _pair(found, _labels(found, {".align"}), partners, understand)


def find_lombard(root: Path | str) -> Corpus:
    """Lombard GRID: ``front/s10_l_bbat9p.mov`` (or ``side/``) with ``alignment/s10_l_bbat9p.json``.

    The transcript comes from the sentence code in the name; in ``s10_l_bbat9p_WRONG_bbat9a`` the
    speaker misspoke and what follows WRONG was said, whichever of the two files is named so. A clip
    without a label is listed in ``without_label`` and is still an utterance, with no word times.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    root = Path(root)

    def understand(video: Path, label: Path | None) -> Utterance:
        name = stem(label if label and _WRONG.search(label.stem) else video)
        match = _LOMBARD.fullmatch(name)
        if match is None:
            raise CorpusError(f"the name {name!r} isn't like s10_l_bbat9p; rename the clip")
        text = _text_of(_WRONG.split(match[2])[-1])
        words = _spread(text, label) if label else ()
        return Utterance(f"{video.absolute().parent.name}/{stem(video)}", match[1].lower(), video, text, words)

    found = _walked(root)
    labels = [path for path in _labels(found, {".json"}) if _LOMBARD.fullmatch(stem(path))]
    partners = _Partners(lambda path: stem(path).lower(), lambda path: _WRONG.split(stem(path))[0].lower())
    return _pair(found, labels, partners, understand)


def find_folder(root: Path | str) -> Corpus:
    """A plain folder: each clip with a label of the same name beside it, in folders of any depth.

    A label is a ``.TextGrid``, ``.txt``, ``.lab``, ``.vtt`` or ``.srt`` (``read_label``); of several beside one clip
    the first of these is taken. Names may differ in case, in how letters are composed and in spaces around them; those
    of subtitles may end with their language, as ``talk.en.vtt``, if they are in one alone. The speaker is the first
    folder of a clip's path, or "" where clips lie in ``root`` itself; of TCD-TIMIT the folder of the volunteer or
    lipspeaker, whose labels may lie in another folder than the clips.

    Raises ``CorpusError`` if ``root`` is no folder or holds no video.
    """
    root = Path(root)

    def understand(video: Path, label: Path | None) -> Utterance | None:
        if label is None:
            return None
        parts = [plain(part) for part in video.relative_to(root).parts[:-1]]
        speaker = _volunteer(video) or (parts[0] if parts else "")
        return Utterance("/".join([*parts, stem(video)]), speaker, video, *read_label(label))

    def loose(path: Path) -> str:
        place, name = _volunteer(path) or plain(str(path.parent)), stem(path)
        subtitles = suffix(path.name) in (".vtt", ".srt") and _SUBTITLES.fullmatch(name)
        return f"{place}/{subtitles[1] if subtitles else name}".casefold()

    found = _walked(root)
    order = list(LABELS)
    best: dict[str, Path] = {}
    for label in sorted(_labels(found, LABELS), key=lambda path: order.index(suffix(path.name))):
        first = best.setdefault(str(label.parent / stem(label)), label)
        if first != label:
            found.passed_over.append((label, f"is beside {first.name}, which is taken"))
    partners = _Partners(lambda path: str(path.parent / stem(path)), loose)
    return _pair(found, sorted(best.values()), partners, understand)


def find_miracl(root: Path | str) -> Corpus:
    """MIRACL-VC1: ``F01/words/01/03/color_001.jpg``, ..., a folder of pictures for each time that a word or a phrase is
    said; the numbers of the folders tell speaker, text and repetition. There are no word times.

    Raises ``CorpusError`` if ``root`` is no folder or holds no such pictures.
    """
    takes = miracl.takes(Path(root))
    utterances = [Utterance(one.id, one.speaker, one.folder, one.text) for one in takes]
    return Corpus(utterances, videos=len(takes), labels=len(takes))


def _volunteer(path: Path) -> str:
    """The folder of TCD-TIMIT's speaker above a file, or ""."""
    return next((part.upper() for part in reversed(path.absolute().parts[:-1]) if _TCD.fullmatch(part)), "")


class _Partners(NamedTuple):
    """The names by which a video and its label find each other."""

    exact: Callable[[Path], str]
    loose: Callable[[Path], str]  # for a video without an exact partner, among labels without one


def _pair(
    found: Found,
    labels: list[Path],
    partners: _Partners,
    understand: Callable[[Path, Path | None], Utterance | None],
) -> Corpus:
    """Pairs videos with labels and understands each; a clip that is there twice is taken once."""
    videos = _videos(found)
    corpus = Corpus(videos=len(videos), labels=len(labels), passed_over=found.passed_over, others=found.others)
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


def _walked(root: Path) -> Found:
    """All videos and labels of a corpus. Raises ``CorpusError`` if there is no video."""
    found = walk(root, VIDEO_SUFFIXES | _LABEL_SUFFIXES)
    if not _videos(found):
        raise CorpusError(f"{root} holds no video; put clips there ({', '.join(sorted(VIDEO_SUFFIXES))})")
    return found


def _videos(found: Found) -> list[Path]:
    return [path for path in found.files if suffix(path.name) in VIDEO_SUFFIXES]


def _labels(found: Found, suffixes: Iterable[str]) -> list[Path]:
    wanted = frozenset(suffixes)
    return [path for path in found.files if suffix(path.name) in wanted]


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
        raise CorpusError(f"the name is not a GRID sentence: {error}") from None


def _spread(text: str, label: Path) -> tuple[WordTime, ...]:
    """The words of a text at the times that a phone file gives."""
    words, spans = text.split(), read_phones(label)
    if len(spans) != len(words):
        raise CorpusError(
            f"{label} times {len(spans)} words but {text!r} has {len(words)}; correct or delete the label"
        )
    return tuple(WordTime(word, start, end) for word, (start, end) in zip(words, spans, strict=True))


def _listing(title: str, entries: list[str], names: int | None) -> list[str]:
    if not entries:
        return []
    shown = entries[:names]
    more = [f"  ... and {len(entries) - len(shown)} more"] if len(shown) < len(entries) else []
    return [f"{len(entries)} {title}:", *(f"  {entry}" for entry in shown), *more]
