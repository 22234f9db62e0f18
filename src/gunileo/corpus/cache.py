"""The cache: a corpus as mouth crops, one lossless grey PNG an utterance, and the mouth's shape beside each.

A picture holds all crops of its utterance, ten a row in reading order, so that any picture viewer
shows them. ``manifest.jsonl`` has one line an utterance, written after its PNG is in place.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gunileo.corpus.grid import encode
from gunileo.corpus.labels import WordTime
from gunileo.errors import GunileoError
from gunileo.util.arrays import read_array
from gunileo.util.files import replacing
from gunileo.vision.crop import HEIGHT, WIDTH, Crops
from gunileo.vision.image import PictureError, from_png, to_png
from gunileo.vision.mouth import LONGEST
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import MEASURES, Array
from gunileo.vision.video import FPS

FORMAT = {"version": 2, "fps": FPS, "height": HEIGHT, "width": WIDTH}
MANIFEST = "manifest.jsonl"
_ROW = 10  # crops


class CacheError(GunileoError):
    """A cache that can't be read or written."""


@dataclass(frozen=True)
class CachedUtterance:
    """A prepared utterance: ``frames`` at 25 a second, ``file`` its PNG relative to the cache."""

    id: str
    speaker: str
    frames: int
    text: str
    words: tuple[WordTime, ...]
    file: str  # none, if only the shape is known

    @property
    def has_crops(self) -> bool:
        """Whether the mouth was seen; else only its shape is known."""
        return bool(self.file)


class Cache:
    """A prepared corpus. Opening it reads the manifest, but no picture.

    Raises ``CacheError`` if the folder is not a cache, is of another version, or has a damaged manifest.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            if not is_cache(self.path):
                raise CacheError(f"{path} is not a cache; make one with 'gunileo prepare SOURCE -o {path}'")
            entries = read_manifest(self.path)[0]
            # By name, not as processes happened to finish: training shuffles alike however a corpus was prepared.
            self.utterances = [entries[name].utterance for name in sorted(entries)]
        except OSError as error:
            raise CacheError(f"{path} can't be read ({error.strerror}); check its permissions") from error

    def load(self, utterance: CachedUtterance) -> MouthClip:
        """One utterance that ``has_crops``, as ``gunileo.read_mouth`` gave it. Raises as ``crops`` and ``measures``
        do."""
        return MouthClip(self.crops(utterance), self.measures(utterance))

    def crops(self, utterance: CachedUtterance) -> Crops:
        """All crops of one utterance, uint8 [T, 100, 150].

        Raises ``CacheError`` if its PNG is missing, damaged or of another size than the manifest says.
        """
        path = self.path / utterance.file
        rows = -(-utterance.frames // _ROW)
        try:
            picture = from_png(path.read_bytes(), (rows * HEIGHT, _ROW * WIDTH))
        except (OSError, PictureError) as error:
            raise _damaged(path) from error
        cells = picture.reshape(rows, HEIGHT, _ROW, WIDTH).swapaxes(1, 2)
        return np.asarray(cells.reshape(-1, HEIGHT, WIDTH)[: utterance.frames], np.uint8)

    def measures(self, utterance: CachedUtterance) -> Array:
        """The shape's measures, float32 [T, 23], as ``gunileo.vision.mouth_shape.measure`` gives them; NaN in frames
        of which nothing is known.

        Raises ``CacheError`` if their file is missing, damaged, of another size than the manifest says, or knows
        nothing of any frame.
        """
        path = shape_file(self.path, utterance.id)
        try:
            found = read_array(path)
        except (OSError, ValueError) as error:
            raise _damaged(path) from error
        if found.dtype != np.float32 or found.shape != (utterance.frames, MEASURES):
            raise _damaged(path)
        if not np.isfinite(found[:, 0]).any():
            raise _damaged(path)
        return found


def _damaged(path: Path) -> CacheError:
    return CacheError(f"{path} is missing or damaged; delete it and run the same 'gunileo prepare' again")


def shape_file(cache: Path, name: str) -> Path:
    """Where the measures of an utterance are, by its id."""
    return cache / f"{name}.npy"


@dataclass(frozen=True)
class Entry:
    """A line of the manifest: the utterance and the video that it was cut from, from ``start`` seconds on."""

    utterance: CachedUtterance
    source: str
    bytes: int
    mtime: float
    start: float = 0.0

    def line(self) -> str:
        """In this format the speaker is called ``talker``, as GRID does."""
        utterance = self.utterance
        content = {
            **{"id": utterance.id, "talker": utterance.speaker, "file": utterance.file, "frames": utterance.frames},
            **{"text": utterance.text, "words": [[word.word, word.start, word.end] for word in utterance.words]},
            **{"source": self.source, "bytes": self.bytes, "mtime": self.mtime},
            **({"start": self.start} if self.start else {}),
        }
        return json.dumps(content) + "\n"


def entry_of(line: bytes) -> Entry:
    """Raises ``ValueError``, ``KeyError``, ``TypeError`` or ``RecursionError`` if the line isn't of this format."""
    content = json.loads(line)
    words = tuple(WordTime(str(word), float(start), float(end)) for word, start, end in content["words"])
    name, speaker, text, frames = (content[key] for key in ("id", "talker", "text", "frames"))
    if not isinstance(name, str) or not isinstance(speaker, str) or not is_safe(name):
        raise ValueError(line)
    if content["file"] not in (f"{name}.png", "") or type(frames) is not int or not 0 < frames <= LONGEST:
        raise ValueError(line)
    if not all(0 <= word.start <= word.end < LONGEST for word in words):
        raise ValueError(line)
    encode(text)
    utterance = CachedUtterance(name, speaker, frames, text, words, content["file"])
    start = float(content.get("start", 0.0))
    if not 0 <= start < math.inf:
        raise ValueError(line)
    return Entry(utterance, str(content["source"]), int(content["bytes"]), float(content["mtime"]), start)


def read_manifest(cache: Path) -> tuple[dict[str, Entry], bool]:
    """The entries by id, and whether the manifest ends in a line torn by a killed run, which is left out."""
    path = cache / MANIFEST
    if not path.exists():
        return {}, False
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    entries = {}
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            entry = entry_of(line)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            message = f"{path}: line {number} is damaged; delete that line and run the same 'gunileo prepare' again"
            raise CacheError(message) from None
        entries[entry.utterance.id] = entry
    return entries, bool(torn)


def write_manifest(cache: Path, entries: Mapping[str, Entry]) -> None:
    """Writes the manifest anew, with these entries alone."""
    with replacing(cache / MANIFEST) as part:
        part.write_bytes("".join(entry.line() for entry in entries.values()).encode())


def is_cache(path: Path) -> bool:
    """Whether a folder is a cache; ``CacheError`` if it is one of another version."""
    marker = path / "cache.json"
    try:
        found = json.loads(marker.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (ValueError, RecursionError):
        raise CacheError(f"{marker} is damaged; prepare the corpus again into a new folder") from None
    if found != FORMAT:
        raise CacheError(
            f"{path} is a cache of another version ({found}; this gunileo reads {FORMAT}); "
            "prepare the corpus again into a new folder"
        )
    return True


def write_mouth(cache: Path, name: str, clip: MouthClip) -> str:
    """Writes an utterance's shape and then its crops, each whole or not at all; returns the PNG, within the cache."""
    file = f"{name}.png"
    with writing(cache):
        write_measures(cache, name, clip.measures)
        try:
            with replacing(cache / file) as part:
                part.write_bytes(picture_of(clip.crops))
        except OSError:
            shape_file(cache, name).unlink(missing_ok=True)
            raise
    return file


def write_measures(cache: Path, name: str, measures: Array) -> None:
    """Writes an utterance's shape, float32 [T, 23], whole or not at all."""
    with replacing(shape_file(cache, name)) as part, open(part, "wb") as file:
        np.save(file, measures, allow_pickle=False)


def picture_of(crops: Crops) -> bytes:
    """Crops [T, 100, 150] as a PNG of ten a row, the unused cells black."""
    rows = -(-len(crops) // _ROW)
    cells = np.zeros((rows * _ROW, HEIGHT, WIDTH), np.uint8)
    cells[: len(crops)] = crops
    return to_png(cells.reshape(rows, _ROW, HEIGHT, WIDTH).swapaxes(1, 2).reshape(rows * HEIGHT, _ROW * WIDTH))


def enter(cache: Path, entry: Entry) -> None:
    """Appends a line to the manifest, or takes the utterance's PNG away again and raises ``CacheError``."""
    try:
        with writing(cache), open(cache / MANIFEST, "ab", buffering=0) as manifest:
            size = manifest.tell()
            line = entry.line().encode()
            try:
                if manifest.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with suppress(OSError):  # readers pass over a torn last line
                    manifest.truncate(size)
                raise
    except CacheError:
        remove(cache, entry.utterance)
        raise


def remove(cache: Path, utterance: CachedUtterance) -> None:
    """Takes an utterance's files away, if they are there."""
    shape_file(cache, utterance.id).unlink(missing_ok=True)
    if utterance.has_crops:
        (cache / utterance.file).unlink(missing_ok=True)


@contextmanager
def writing(cache: Path) -> Iterator[None]:
    """Errors of the file system come as ``CacheError`` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"{cache}: the disk is full; free some space and run the same command to go on"
        else:
            message = f"{cache} can't be written: {error.strerror}; fix that and run the same command again"
        raise CacheError(message) from error


def is_safe(name: str) -> bool:
    """Whether an id, as a path, stays within the cache on any system."""
    forbidden = "\\" in name or ":" in name or "\0" in name
    return not forbidden and all(part not in {"", ".", ".."} for part in name.split("/"))
