"""``gunileo watch``: read the videos that land in a folder.

The folder is looked at again and again. What systems offer instead, as inotify, says nothing of what another machine
writes to a network folder, and nothing of when a file is whole.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from gunileo.cli.options import (
    Device,
    Faces,
    Formats,
    Grammar,
    Job,
    LanguageModel,
    Lexicon,
    Model,
    OfSeveral,
    RunsOn,
    Way,
    complain,
    formats_of,
)
from gunileo.errors import GunileoError, Stopped
from gunileo.inference.registry import DEFAULT

Mark = tuple[int, int]  # of a file: bytes, and nanoseconds at which it was changed

_EVERY = 1.0  # seconds between looks; more where a look takes long
_STEADY = 4.0  # seconds that a whole file stays as it is: NFS tells for three what was true before
_TEMPORARY = re.compile(r"~.*|.*\.(part|partial|filepart|tmp|temp|download|crdownload)", re.IGNORECASE)


def watch(
    folder: Annotated[Path, typer.Argument(metavar="IN", help="Folder to watch.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Folder for the results.")],
    model: Model = DEFAULT,
    decode: Way = None,
    grammar: Grammar = None,
    lexicon: Lexicon = None,
    lm: LanguageModel = None,
    face: OfSeveral = Faces.largest,
    formats: Formats = None,
    device: RunsOn = Device.auto,
) -> None:
    """Read the videos in a folder, and each new one, until Ctrl-C.

    \b
      gunileo watch inbox -o read -f txt,srt

    A file is read when it has not changed for four seconds, so that it is complete. It is read again when it changes.
    Names such as .talk.mp4, ~talk.mp4 and talk.part.mp4 are skipped. Results have the same names as with transcribe. A
    file that can't be read is named on standard error, and the others are read.

    If you start it again, it skips the files that have results. IN may be a network folder, and may be unreachable for
    a while.
    """
    from gunileo.cli.batch import on_cores, read_all
    from gunileo.cli.reading import Reading

    if not folder.is_dir():
        raise GunileoError(f"{folder}: not a folder; create it, or name another")
    how = (decode, grammar, lexicon, lm)
    reading = Reading(model, device, *how, face, tuple(formats_of(formats)), False, output, 25, jobs=0)
    reading.check()
    arrivals = Arrivals(folder, reading.is_done)
    complain(f"watching {folder}; Ctrl-C ends it")
    try:
        while True:
            began = time.monotonic()
            whole = arrivals.settled(began)
            took = time.monotonic() - began
            if whole:
                read_all(reading, whole, on_cores(whole))
            time.sleep(max(_EVERY, 4 * took))
    except (KeyboardInterrupt, Stopped):
        complain("stopped")


@dataclass
class Arrivals:
    """What comes to a folder, each file once it is whole. ``is_done`` tells of one that is there at the first look
    whether it was read before."""

    folder: Path
    is_done: Callable[[Job], bool]
    _seen: dict[Path, tuple[Mark, float]] = field(default_factory=dict)  # of files that may still grow; since when
    _given: dict[Path, Mark] | None = None  # files as they were when they were given to be read
    _stems: dict[Path, Path] = field(default_factory=dict)  # of results, and whose they are
    _away: bool = False

    def settled(self, now: float) -> list[Job]:
        """The files that have stayed as they are for some seconds and were not given yet as they are.

        ``now`` is a time in seconds that never goes back. A folder that is away is reported once, and so is a file
        whose results would be another's.
        """
        marks = self._marks()
        if marks is None:
            return []
        jobs = {path: Job(path, path.relative_to(self.folder).with_suffix("")) for path in marks}
        if self._given is None:
            self._given = {path: marks[path] for path, job in jobs.items() if self.is_done(job)}
        waiting = {path: mark for path, mark in marks.items() if self._given.get(path) != mark}
        since = {path: self._since(path, mark, now) for path, mark in waiting.items()}
        whole = [path for path, begun in since.items() if now - begun >= _STEADY]
        self._given.update((path, waiting[path]) for path in whole)
        self._seen = {path: (waiting[path], begun) for path, begun in since.items() if path not in whole}
        return [jobs[path] for path in whole if self._is_own(jobs[path])]

    def _since(self, path: Path, mark: Mark, now: float) -> float:
        before, begun = self._seen.get(path, (None, now))
        return begun if before == mark else now

    def _is_own(self, job: Job) -> bool:
        first = self._stems.setdefault(job.stem, job.path)
        if first != job.path:
            complain(f"{job}: its results would have the same names as those of {first}; rename one of them")
        return first == job.path

    def _marks(self) -> dict[Path, Mark] | None:
        """All videos as they are now, but for those under temporary names; None if the folder is away."""
        from gunileo.corpus.finders import VIDEO_SUFFIXES, find_files
        from gunileo.corpus.labels import CorpusError

        marks: dict[Path, Mark] = {}
        try:
            found = find_files(self.folder, VIDEO_SUFFIXES)
        except (CorpusError, OSError):
            if not self._away:
                complain(f"{self.folder}: can't be reached; waiting until it is back")
            self._away = True
            return None
        self._away = False
        for path in found:
            if _TEMPORARY.fullmatch(path.stem):
                continue
            try:
                status = path.stat()
            except OSError:  # gone meanwhile
                continue
            marks[path] = status.st_size, status.st_mtime_ns
        return marks
