"""The cache: mouth regions of a corpus, cut out once, one lossless grey PNG an utterance.

A picture holds all regions of its utterance, ten a row in reading order, so that any picture viewer
shows them. ``manifest.jsonl`` has one line an utterance, written after its PNG is in place.
"""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import numpy as np

from gunileo.cores import usable_cores
from gunileo.corpus import Utterance, WordTime
from gunileo.errors import GunileoError
from gunileo.files import alone
from gunileo.interrupt import undisturbed
from gunileo.mouth import HEIGHT, LONGEST, WIDTH, Regions, read_regions
from gunileo.picture import PictureError, from_png, to_png
from gunileo.sentence import encode
from gunileo.video import FPS

VERSION = 1
_FORMAT = {"version": VERSION, "fps": FPS, "height": HEIGHT, "width": WIDTH}
_MANIFEST = "manifest.jsonl"
_ROW = 10  # regions

Progress = Callable[[int, int], None]  # utterances settled so far (done, kept or skipped), and of how many
# Cuts utterances out into a cache with some workers; yields each with None, or with the reason why it couldn't be.
Engine = Callable[[Sequence[Utterance], Path, int], Iterator[tuple[Utterance, str | None]]]


class CacheError(GunileoError):
    """A cache that can't be read or written."""


@dataclass(frozen=True)
class CachedUtterance:
    """A prepared utterance: ``frames`` at 25 a second, ``file`` its PNG relative to the cache."""

    id: str
    talker: str
    frames: int
    text: str
    words: tuple[WordTime, ...]
    file: str


@dataclass
class PrepareReport:
    """How many utterances were cut out now, how many were there already, and which failed, with the reason."""

    done: int = 0
    kept: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


class Cache:
    """A prepared corpus. Opening it reads the manifest and no picture.

    Raises ``CacheError`` if the folder is no cache, is of another version, or has a damaged manifest.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            if not _is_cache(self.path):
                raise CacheError(f"{path} is no cache; make one with 'gunileo prepare SOURCE -o {path}'")
            entries = _read_manifest(self.path)[0]
            # By name, not as processes happened to finish: training shuffles alike however a corpus was prepared.
            self.utterances = [entries[name].utterance for name in sorted(entries)]
        except OSError as error:
            raise CacheError(f"{path} can't be read: {error.strerror}") from error

    def load(self, utterance: CachedUtterance) -> Regions:
        """All regions of one utterance, uint8 [T, 100, 150].

        Raises ``CacheError`` if its PNG is missing, damaged or of another size than the manifest says.
        """
        path = self.path / utterance.file
        rows = -(-utterance.frames // _ROW)
        try:
            picture = from_png(path.read_bytes(), (rows * HEIGHT, _ROW * WIDTH))
        except (OSError, PictureError) as error:
            message = f"{path} is missing or damaged; delete it and run the same 'gunileo prepare' again"
            raise CacheError(message) from error
        cells = picture.reshape(rows, HEIGHT, _ROW, WIDTH).swapaxes(1, 2)
        return np.asarray(cells.reshape(-1, HEIGHT, WIDTH)[: utterance.frames], np.uint8)


def prepare(
    utterances: Sequence[Utterance],
    cache: Path | str,
    workers: int | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> PrepareReport:
    """Cut out the mouth regions of utterances into a cache with ``workers`` processes (all cores if None).

    Goes on where an earlier run stopped: an utterance whose video has the same size and time stamp and
    whose PNG is there is kept. One that can't be prepared is reported and skipped, even where its
    worker process dies of it. ``engine`` runs the work elsewhere than in processes of this machine.

    Raises ``CacheError`` if the folder is something else or can't be written, as when the disk is full;
    whatever was done by then stays, and nothing half-written does. ``FileError`` if another process prepares into it.
    """
    cache = Path(cache)
    if cache.exists() and not cache.is_dir():
        raise CacheError(f"{cache} is a file; name a folder for the cache")
    report = PrepareReport()
    with alone(cache):
        with _writing(cache):
            _open(cache)
            present = _present(cache, utterances)
        pending = _pending(utterances, present, report)
        total = len(utterances)
        if progress:
            progress(total - len(pending), total)
        settled = (engine or _run)(pending, cache, min(workers or usable_cores(), len(pending)))
        for number, (utterance, reason) in enumerate(settled, total - len(pending) + 1):
            if reason is None:
                report.done += 1
            else:
                report.skipped.append((utterance.id, reason))
            if progress:
                progress(number, total)
    return report


def _pending(utterances: Sequence[Utterance], present: set[str], report: PrepareReport) -> list[Utterance]:
    """The utterances to cut out; the others are counted."""
    pending = []
    seen: set[str] = set()
    for utterance in utterances:
        if utterance.id in seen or not _is_safe(utterance.id):
            fault = "is there twice" if utterance.id in seen else "would lie outside of the cache"
            report.skipped.append((utterance.id, f"{utterance.video}: id {utterance.id!r} {fault}; rename the clip"))
        elif utterance.id in present:
            report.kept += 1
        else:
            pending.append(utterance)
        seen.add(utterance.id)
    return pending


@dataclass(frozen=True)
class Entry:
    """A line of the manifest: the utterance and the video that it was cut from."""

    utterance: CachedUtterance
    source: str
    bytes: int
    mtime: float

    def line(self) -> str:
        utterance = self.utterance
        content = {
            **{"id": utterance.id, "talker": utterance.talker, "file": utterance.file, "frames": utterance.frames},
            **{"text": utterance.text, "words": [[word.word, word.start, word.end] for word in utterance.words]},
            **{"source": self.source, "bytes": self.bytes, "mtime": self.mtime},
        }
        return json.dumps(content) + "\n"


def entry_of(line: bytes) -> Entry:
    """Raises ``ValueError``, ``KeyError``, ``TypeError`` or ``RecursionError`` if the line isn't of this format."""
    content = json.loads(line)
    words = tuple(WordTime(str(word), float(start), float(end)) for word, start, end in content["words"])
    name, talker, text, frames = (content[key] for key in ("id", "talker", "text", "frames"))
    if not isinstance(name, str) or not isinstance(talker, str) or not _is_safe(name):
        raise ValueError(line)
    if content["file"] != f"{name}.png" or type(frames) is not int or not 0 < frames <= LONGEST:
        raise ValueError(line)
    if not all(0 <= word.start <= word.end < LONGEST for word in words):
        raise ValueError(line)
    encode(text)
    utterance = CachedUtterance(name, talker, frames, text, words, content["file"])
    return Entry(utterance, str(content["source"]), int(content["bytes"]), float(content["mtime"]))


def _read_manifest(cache: Path) -> tuple[dict[str, Entry], bool]:
    """The entries by id, and whether the manifest ends in a line torn by a killed run, which is left out."""
    path = cache / _MANIFEST
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


def _is_cache(path: Path) -> bool:
    """Whether a folder is a cache; ``CacheError`` if it is one of another version."""
    marker = path / "cache.json"
    try:
        found = json.loads(marker.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (ValueError, RecursionError):
        raise CacheError(f"{marker} is damaged; prepare the corpus again into a new folder") from None
    if found != _FORMAT:
        raise CacheError(
            f"{path} is a cache of another version ({found}; this gunileo reads {_FORMAT}); "
            "prepare the corpus again into a new folder"
        )
    return True


def _open(cache: Path) -> None:
    if _is_cache(cache):
        return
    if any(not path.name.startswith(".") for path in cache.iterdir()):
        raise CacheError(f"{cache} is a folder with other things in it; name a new or empty folder for the cache")
    _replace(cache / "cache.json", json.dumps(_FORMAT).encode() + b"\n")


def _present(cache: Path, utterances: Sequence[Utterance]) -> set[str]:
    """Ids of the utterances that need no cutting; brings the manifest up to date."""
    entries, changed = _read_manifest(cache)
    present = set()
    for utterance in utterances:
        entry = entries.get(utterance.id)
        if entry is None:
            continue
        if not _is_fresh(cache, utterance, entry):
            changed = True
            del entries[utterance.id]
            (cache / entry.utterance.file).unlink(missing_ok=True)
            continue
        present.add(utterance.id)
        labelled = replace(entry.utterance, talker=utterance.talker, text=utterance.text, words=utterance.words)
        if labelled != entry.utterance:  # the label was mended since
            changed = True
            entries[utterance.id] = replace(entry, utterance=labelled)
    if changed:
        _replace(cache / _MANIFEST, "".join(entry.line() for entry in entries.values()).encode())
    return present


def _is_fresh(cache: Path, utterance: Utterance, entry: Entry) -> bool:
    try:
        source = utterance.video.stat()
        picture = (cache / entry.utterance.file).stat()
    except OSError:
        return False
    return (source.st_size, source.st_mtime) == (entry.bytes, entry.mtime) and picture.st_size > 0


def _run(utterances: Sequence[Utterance], cache: Path, workers: int) -> Iterator[tuple[Utterance, str | None]]:
    """Cuts out utterances; yields each with None, or with the reason why it couldn't be done.

    Each worker process has a pool of its own with one utterance at a time, so that a process that
    dies takes no other utterance with it and it is known which one it was.
    """
    waiting = iter(utterances)
    running: dict[Future[Entry | str], tuple[ProcessPoolExecutor, Utterance]] = {}

    def start(pool: ProcessPoolExecutor) -> None:
        utterance = next(waiting, None)
        if utterance is None:
            pool.shutdown()  # it is idle; else a process of multiprocessing's that called this could wait for ever
        else:
            with undisturbed():
                running[pool.submit(cut_out, utterance, cache)] = pool, utterance

    try:
        for pool in _pools(workers):
            start(pool)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                pool, utterance = running[future]
                reason = None
                try:
                    entry = future.result()
                    if isinstance(entry, Entry):
                        enter(cache, entry)
                    else:
                        reason = entry
                except BrokenProcessPool:
                    pool = _pool()
                    reason = f"{utterance.video}: its process died, by a crash or for want of memory; convert the clip"
                del running[future]
                start(pool)
                yield utterance, reason
    finally:
        for future, (pool, _) in running.items():
            pool.shutdown()  # once its clip is done
            last = None if future.exception() else future.result()
            # No picture without its line; one that got none, for a full disk, is gone already.
            if isinstance(last, Entry) and (cache / last.utterance.file).exists():
                with suppress(CacheError):
                    enter(cache, last)


def _pool() -> ProcessPoolExecutor:
    # Spawned, not forked: a fork of a process with threads (a progress bar's, say) may hang.
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Readies a worker process: one thread for its work, one that ends it with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it

    def outlive_nobody() -> None:
        parent = parent_process()
        if parent:
            parent.join()
            os._exit(1)

    Thread(target=outlive_nobody, daemon=True).start()


def _pools(count: int) -> list[ProcessPoolExecutor]:
    """``count`` pools of one process each, once the first is known to start."""
    pools = [_pool() for _ in range(count)]
    try:
        for pool in pools[:1]:
            with undisturbed():
                started = pool.submit(os.getpid)
            started.result()
    except BrokenProcessPool:
        message = "worker processes can't start; call prepare from a script, under if __name__ == '__main__':"
        raise CacheError(message) from None
    return pools


def cut_out(utterance: Utterance, cache: Path) -> Entry | str:
    """Writes one PNG, in a worker process; returns its manifest entry or why there is none."""
    try:
        source = utterance.video.stat()
        regions = read_regions(utterance.video)
    except GunileoError as error:
        return str(error)
    except OSError as error:
        return f"{utterance.video}: can't be read ({error.strerror}); check the path"
    except Exception as error:  # whatever one clip does to a decoder, the others must go on
        return f"{utterance.video}: {type(error).__name__}: {error}; convert the clip"
    file = f"{utterance.id}.png"
    with _writing(cache):
        _replace(cache / file, _picture(regions))
    cached = CachedUtterance(utterance.id, utterance.talker, len(regions), utterance.text, utterance.words, file)
    return Entry(cached, str(utterance.video.absolute()), source.st_size, source.st_mtime)


def _picture(regions: Regions) -> bytes:
    """Regions [T, 100, 150] as a PNG of ten a row, the unused cells black."""
    rows = -(-len(regions) // _ROW)
    cells = np.zeros((rows * _ROW, HEIGHT, WIDTH), np.uint8)
    cells[: len(regions)] = regions
    return to_png(cells.reshape(rows, _ROW, HEIGHT, WIDTH).swapaxes(1, 2).reshape(rows * HEIGHT, _ROW * WIDTH))


def enter(cache: Path, entry: Entry) -> None:
    """Appends a line to the manifest, or takes the utterance's PNG away again."""
    try:
        with _writing(cache), open(cache / _MANIFEST, "ab", buffering=0) as manifest:
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
        (cache / entry.utterance.file).unlink()
        raise


def _replace(path: Path, content: bytes) -> None:
    """Writes a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _writing(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"{cache}: the disk is full; free some space and run the same 'gunileo prepare' to go on"
        else:
            message = f"{cache} can't be written: {error.strerror}; mend that and run the same 'gunileo prepare' again"
        raise CacheError(message) from error


def _is_safe(name: str) -> bool:
    """Whether an id, as a path, stays within the cache on any system."""
    forbidden = "\\" in name or ":" in name or "\0" in name
    return not forbidden and all(part not in {"", ".", ".."} for part in name.split("/"))
