"""Cutting a corpus out into a cache, with worker processes, and going on where that stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from gunileo.corpus.cache import (
    FORMAT,
    CachedUtterance,
    CacheError,
    Entry,
    enter,
    is_cache,
    is_safe,
    read_manifest,
    remove,
    shape_file,
    write_manifest,
    write_mouth,
    writing,
)
from gunileo.corpus.finders import Utterance
from gunileo.corpus.grid import encode
from gunileo.corpus.labels import CorpusError, WordTime
from gunileo.corpus.miracl import read_pictures
from gunileo.errors import GunileoError
from gunileo.util.cores import usable_cores
from gunileo.util.files import alone, replacing
from gunileo.util.workers import spread
from gunileo.vision.mouth import read_stretch
from gunileo.vision.video import FPS

Progress = Callable[[int, int], None]  # utterances settled so far (done, kept or skipped), and of how many
# Cuts utterances out into a cache with some workers; yields each with None, or with the reason why it couldn't be.
Engine = Callable[[Sequence[Utterance], Path, int], Iterator[tuple[Utterance, str | None]]]


@dataclass
class PrepareReport:
    """How many utterances were cut out now, how many were there already, and which failed, with the reason."""

    done: int = 0
    kept: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def prepare(
    utterances: Sequence[Utterance],
    cache: Path | str,
    workers: int | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> PrepareReport:
    """Cut the mouth crops of utterances into a cache, with ``workers`` processes (one for each core if None).

    Goes on where an earlier run stopped: an utterance is kept if its PNG is there and its video has the same size and
    time stamp. An utterance that can't be prepared is reported and skipped, even if its worker process dies. So is one
    whose id is there twice or isn't a path within the cache, and one whose text has other characters than a-z, 1-9
    and spaces.
    ``progress(settled, total)`` is called with how many are done, kept or skipped, and of how many.
    ``engine`` runs the work elsewhere than in processes of this machine.

    Raises ``CacheError`` if the folder is something else or can't be written, for instance if the disk is full.
    Finished clips stay, and nothing is half-written. Raises ``FileError`` if another process prepares into it.
    """
    cache = Path(cache)
    report = PrepareReport()
    with open_cache(cache):
        with writing(cache):
            usable = _usable(utterances, report)
            present = _present(cache, usable)
        report.kept = len(present)
        pending = [utterance for utterance in usable if utterance.id not in present]
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


def _usable(utterances: Sequence[Utterance], report: PrepareReport) -> list[Utterance]:
    """The utterances that the cache can hold; the others are reported."""
    usable: dict[str, Utterance] = {}
    for utterance in utterances:
        if utterance.id in usable or not is_safe(utterance.id):
            fault = "is there twice" if utterance.id in usable else "would lie outside of the cache"
            report.skipped.append((utterance.id, f"{utterance.video}: id {utterance.id!r} {fault}; rename the clip"))
            continue
        try:
            encode(utterance.text)
        except ValueError as error:
            report.skipped.append((utterance.id, f"{utterance.video}: {error}"))
        else:
            usable[utterance.id] = utterance
    return list(usable.values())


@contextmanager
def open_cache(cache: Path) -> Iterator[None]:
    """A cache to write into, begun in a new or empty folder. It is this process's alone meanwhile.

    Raises ``CacheError`` if there is something else, or it can't be written; ``FileError`` if another process holds it.
    """
    if cache.exists() and not cache.is_dir():
        raise CacheError(f"{cache} is a file; name a folder for the cache")
    with alone(cache):
        with writing(cache):
            if not is_cache(cache):
                if any(not path.name.startswith(".") for path in cache.iterdir()):
                    other = "is a folder with other things in it; name a new or empty folder for the cache"
                    raise CacheError(f"{cache} {other}")
                with replacing(cache / "cache.json") as part:
                    part.write_bytes(json.dumps(FORMAT).encode() + b"\n")
        yield


def _present(cache: Path, utterances: Sequence[Utterance]) -> set[str]:
    """Ids of the utterances that need no cutting; brings the manifest up to date."""
    entries, changed = read_manifest(cache)
    present = set()
    for utterance in utterances:
        entry = entries.get(utterance.id)
        if entry is None:
            continue
        if not _is_fresh(cache, utterance, entry):
            changed = True
            del entries[utterance.id]
            remove(cache, entry.utterance)
            continue
        try:
            words = _placed(utterance, entry.start, entry.utterance.frames)
        except CorpusError:  # the label was changed; the reason is told when it is cut out again
            changed = True
            del entries[utterance.id]
            remove(cache, entry.utterance)
            continue
        present.add(utterance.id)
        labelled = replace(entry.utterance, speaker=utterance.speaker, text=utterance.text, words=words)
        if labelled != entry.utterance:  # the label was mended since
            changed = True
            entries[utterance.id] = replace(entry, utterance=labelled)
    if changed:
        write_manifest(cache, entries)
    return present


def _is_fresh(cache: Path, utterance: Utterance, entry: Entry) -> bool:
    try:
        source = utterance.video.stat()
        sizes = [path.stat().st_size for path in (cache / entry.utterance.file, shape_file(cache, utterance.id))]
    except OSError:
        return False
    return (source.st_size, source.st_mtime) == (entry.bytes, entry.mtime) and min(sizes) > 0


def _run(utterances: Sequence[Utterance], cache: Path, workers: int) -> Iterator[tuple[Utterance, str | None]]:
    """Cuts out utterances; yields each with None, or with the reason why it couldn't be done."""

    def late(utterance: Utterance, last: Entry | str) -> None:
        # No picture without its line; one that got none, for a full disk, is gone already.
        if isinstance(last, Entry) and (cache / last.utterance.file).exists():
            with suppress(CacheError):
                enter(cache, last)

    settled = spread(partial(cut_out, cache=cache), utterances, workers, late)
    with closing(settled):
        for utterance, entry in settled:
            if isinstance(entry, Entry):
                enter(cache, entry)
                entry = ""
            elif entry is None:
                entry = f"{utterance.video}: its process died, by a crash or for lack of memory; convert the clip"
            yield utterance, entry or None


def cut_out(utterance: Utterance, cache: Path) -> Entry | str:
    """Writes one mouth, in a worker process; returns its manifest entry or why there is none."""
    try:
        source = utterance.video.stat()
        clip, start = (
            (read_pictures(utterance.video), 0.0) if utterance.video.is_dir() else read_stretch(utterance.video)
        )
        words = _placed(utterance, start, len(clip))
    except GunileoError as error:
        return str(error)
    except OSError as error:
        return f"{utterance.video}: can't be read ({error.strerror}); check the path"
    except Exception as error:  # whatever one clip does to a decoder, the others must go on
        return f"{utterance.video}: {type(error).__name__}: {error}; convert the clip"
    file = write_mouth(cache, utterance.id, clip)
    cached = CachedUtterance(utterance.id, utterance.speaker, len(clip), utterance.text, words, file)
    return Entry(cached, str(utterance.video.absolute()), source.st_size, source.st_mtime, start)


def _placed(utterance: Utterance, start: float, frames: int) -> tuple[WordTime, ...]:
    """The words of a label, whose times are those of a player's clock, in seconds of crops that begin at ``start``.

    Raises ``CorpusError`` if a word is said where there is none.
    """
    length = frames / FPS
    for word in utterance.words:
        if not start <= (word.start + word.end) / 2 <= start + length:
            said = f"{word.word!r} is said from {word.start:.2f} to {word.end:.2f} s"
            seen = f"a face is seen from {start:.2f} to {start + length:.2f} s"
            raise CorpusError(f"{utterance.video}: {said}, but {seen}; cut the clip or correct its label")
    return tuple(WordTime(word.word, max(0.0, word.start - start), word.end - start) for word in utterance.words)
