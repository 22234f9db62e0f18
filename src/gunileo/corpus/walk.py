"""Files of a corpus in their folders, links followed, and the names by which they are the same."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gunileo.corpus.labels import CorpusError

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".mpg", ".mpeg", ".mpe", ".m2v", ".mp4", ".m4v", ".mov", ".qt", ".webm", ".avi", ".divx", ".mkv", ".ts", ".mts",
    ".m2ts", ".3gp", ".3g2", ".flv", ".f4v", ".wmv", ".asf", ".mxf", ".vob", ".ogv", ".ogm", ".dv", ".mjpeg", ".mjpg",
    ".y4m", ".nut", ".m2t", ".mod", ".tod", ".vro", ".m1v", ".m2p", ".mpv", ".tp", ".trp", ".insv", ".rm",
    ".rmvb", ".h264", ".264", ".h265", ".265", ".hevc", ".amv",
})
# fmt: on


@dataclass
class Found:
    """Files of some kinds in a fixed order, and what was passed over: with its reason, or counted by its suffix.

    ``lost`` is what of it is nowhere else.
    """

    files: list[Path] = field(default_factory=list)
    passed_over: list[tuple[Path, str]] = field(default_factory=list)
    lost: list[tuple[Path, str]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def lose(self, path: Path, reason: str) -> None:
        """Pass over what can't be taken."""
        self.passed_over.append((path, reason))
        self.lost.append((path, reason))


def walk(root: Path, suffixes: Iterable[str]) -> Found:
    """Files under ``root`` of some kinds, hidden ones and macOS leftovers left out.

    Folders that are links are followed, each folder once: a link to one that was seen is passed over, and so is what
    can't be opened. Raises ``CorpusError`` if ``root`` is no folder.
    """
    if not os.path.isdir(root):
        there = "is not a folder; give the folder that holds the corpus"
        raise CorpusError(f"{root} {there if os.path.exists(root) else 'is not there; check the path'}")
    found, seen = Found(), dict[tuple[int, int], Path]()
    waiting = [root]  # folders themselves before links to them, so that a folder keeps its own name
    while waiting:
        waiting += _descend(waiting.pop(0), frozenset(suffixes), found, seen)
    found.files.sort(key=lambda path: (path.parent.parts, path.name))
    return found


def find_files(root: Path, suffixes: Iterable[str]) -> list[Path]:
    """The files of ``walk``."""
    return walk(root, suffixes).files


def plain(name: str) -> str:
    """A name in one form: composed letters (NFC), whatever the system that wrote it, without spaces around."""
    return unicodedata.normalize("NFC", name).strip()


def stem(path: Path) -> str:
    """A file's ``plain`` name without its suffix, which may be followed by spaces."""
    return plain(os.path.splitext(path.name.rstrip())[0])


def suffix(name: str) -> str:
    """A name's suffix in lower case."""
    return os.path.splitext(name.rstrip())[1].lower()


def _descend(top: Path, wanted: frozenset[str], found: Found, seen: dict[tuple[int, int], Path]) -> list[Path]:
    """Take what is in a folder and the folders in it; returns the links to folders."""
    links: list[Path] = []

    def unreadable(error: OSError) -> None:
        found.lose(Path(error.filename), f"can't be opened ({error.strerror})")

    for folder, inner, names in os.walk(top, onerror=unreadable):
        status = os.stat(folder)
        first = seen.setdefault((status.st_dev, status.st_ino), Path(folder))
        if first != Path(folder):
            found.passed_over.append((Path(folder), f"is a link to {first}, which is taken by that name"))
            inner.clear()
            continue
        inner[:] = sorted(name for name in inner if not _left_out(name))
        links += [Path(folder, name) for name in inner if os.path.islink(Path(folder, name))]
        for name in sorted(names):
            path = Path(folder, name)
            if _left_out(name):
                continue
            if fault := _fault(path):
                found.lose(path, fault)
            elif suffix(name) in wanted:
                found.files.append(path)
            else:
                found.others[suffix(name) or "no suffix"] += 1
    return links


def _fault(path: Path) -> str:
    """Why a file that its folder lists can't be reached; "" if it can."""
    try:
        path.stat()
    except FileNotFoundError:
        return "is a link that leads nowhere; correct or delete it"
    except OSError as error:
        return f"can't be opened ({error.strerror})"
    return ""


def _left_out(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))
