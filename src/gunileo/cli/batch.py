"""Many files read: one after the other, by processes of this machine, or on a Ray cluster; results in their order."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache, partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gunileo.cli import complaints
from gunileo.cli.complaints import complain
from gunileo.cli.jobs import Job
from gunileo.cli.reading import Reading
from gunileo.errors import GunileoError, Stopped
from gunileo.util.cores import usable_cores
from gunileo.util.progress import progress
from gunileo.util.workers import may_start, spread, unwanted
from gunileo.vision.pipe import is_pipe

if TYPE_CHECKING:
    from gunileo.output.table import Table
    from gunileo.output.transcript import Transcript

Numbered = tuple[int, Job]  # counted from one
Engine = Callable[[Reading, Sequence[Numbered], "Report"], None]


@dataclass(frozen=True)
class Outcome:
    """What reading a file said, on standard output and standard error, and whether it failed or was broken off.

    For a table: what was read, or the ``file`` that could not be.
    """

    out: str = ""
    err: str = ""
    failed: bool = False
    stopped: bool = False
    said: Transcript | None = None
    file: str = ""
    why: str = ""  # it could not be read


@dataclass
class Report:
    """What became of the files, told in their order: those that come early are held until it is their turn.

    A ``table`` gets them in the same order.
    """

    total: int
    table: Table | None = None
    failed: bool = False
    done: int = 0  # read or failed, and not broken off
    _next: int = 1
    _held: dict[int, Outcome] = field(default_factory=dict)

    def add(self, number: int, outcome: Outcome) -> None:
        """Take a file's outcome, and tell all whose turn it is."""
        self._held[number] = outcome
        self.failed |= outcome.failed
        self.done += not outcome.stopped
        while self._next in self._held:
            self._tell(self._held.pop(self._next))
            self._next += 1

    def close(self) -> None:
        """Tell all that is held, as the files between won't come any more."""
        for number in sorted(self._held):
            self._tell(self._held.pop(number))

    def _tell(self, outcome: Outcome) -> None:
        typer.echo(outcome.out, nl=False)
        typer.echo(outcome.err, nl=False, err=True)
        if self.table and outcome.said:
            self.table.add(outcome.said)
        elif self.table and outcome.file:
            self.table.fail(outcome.file, outcome.why)


def read_all(
    reading: Reading, jobs: Sequence[Job], engine: Engine, skip_done: bool = False, table: Table | None = None
) -> bool:
    """Read all files by an engine, into a ``table`` too if there is one; whether one of them failed.

    A file that can't be read is told on standard error, and the others are read. Raises ``Stopped`` on Ctrl-C, once
    all that was read is written and told.
    """
    report, taken, pending, before = Report(len(jobs), table), dict[Path, Path](), list[Numbered](), 0
    for number, job in enumerate(jobs, 1):
        if reading.writes and (first := taken.setdefault(job.stem, job.path)) != job.path:
            clash = f"{job.path}: its results would have the same names as those of {first}; rename one of them"
            report.add(number, Outcome(err=clash + "\n", failed=True, file=str(job), why=clash))
        elif skip_done and reading.is_done(job):
            report.add(number, Outcome(said=reading.earlier(job) if table else None))
            before += 1
        else:
            pending.append((number, job))
    if before:
        complain(f"{before} of {len(jobs)} files were done before")
    if pending:
        engine(reading, pending, report)
    return report.failed


def here(reading: Reading, jobs: Sequence[Numbered], report: Report) -> None:
    """Reads files one after the other in this process. Sentences of a long video are printed as they are read."""
    with progress("reading") as bar:
        for number, job in jobs:
            why = ""
            try:
                failed, said = reading.do(job, number, bar)
            except KeyboardInterrupt:
                raise Stopped(f"{job}: stopped; what was read by then stays") from None
            except GunileoError as error:
                failed, said, why = True, None, str(error)
                complain(error)
            report.add(number, Outcome(failed=failed, said=said, file=str(job), why=why))


def on_cores(jobs: Sequence[Job], count: int | None = None) -> Engine:
    """Reads files with so many cores of this machine, all if None. Pipes are this process's own to read, and all files
    where it may start no others."""
    count = min(count or usable_cores(), len(jobs))
    alone = count == 1 or not may_start() or any(is_pipe(str(job.path)) for job in jobs)
    return here if alone else in_processes(count)


def in_processes(count: int) -> Engine:
    """Reads files in so many processes, each with one core."""

    def engine(reading: Reading, jobs: Sequence[Numbered], report: Report) -> None:
        def late(job: Numbered, outcome: Outcome) -> None:
            report.add(job[0], outcome)

        work = partial(_read, replace(reading), verbose=complaints.verbose)  # without its model
        outcomes = spread(work, jobs, min(count, len(jobs)), late)
        with closing(outcomes):
            _gather(reading, outcomes, report)

    return engine


def on_ray(address: str | None, count: int | None) -> Engine:
    """Reads files on a Ray cluster, or on one of this machine if no address is given, at most ``count`` at a time.

    Every machine has to see the files and the output folder at the same paths, and needs gunileo.
    """

    def engine(reading: Reading, jobs: Sequence[Numbered], report: Report) -> None:
        from gunileo.util import cluster

        work = partial(_read, replace(reading), verbose=complaints.verbose, folder=Path.cwd())
        outcomes = cluster.spread(work, jobs, address, count)
        with closing(outcomes):
            _gather(reading, outcomes, report)

    return engine


def _gather(reading: Reading, outcomes: Generator[tuple[Numbered, Outcome | None]], report: Report) -> None:
    died = "its process died, by a crash or for lack of memory; convert the clip"
    with progress("reading") as bar:
        try:
            for (number, job), outcome in outcomes:
                lost = f"{job}: {died}"
                report.add(number, outcome or Outcome(err=f"{lost}\n", failed=True, file=str(job), why=lost))
                bar(report.done, report.total)
        except KeyboardInterrupt:
            outcomes.close()
            raise Stopped(
                f"{report.done} of {report.total} files done; stopped; what was read by then stays"
                f"{'; go on with --skip-done' if reading.writes else ''}"
            ) from None
        finally:
            report.close()


def _read(reading: Reading, job: Numbered, verbose: bool, folder: Path | None = None) -> Outcome:
    """Reads a file in a worker process."""
    from gunileo.util.cores import keep_to_one_core

    keep_to_one_core()
    complaints.verbose = verbose
    if folder:
        os.chdir(folder)
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        failed, stopped, said, why = True, False, None, ""
        try:
            failed, said = _same(reading).do(job[1], job[0], _break_off)
        except KeyboardInterrupt:
            failed, stopped = False, True
        except GunileoError as error:
            why = str(error)
            complain(error)
        except Exception as error:  # whatever one clip does to a decoder, the others must go on
            why = f"{job[1]}: {type(error).__name__}: {error}; convert the clip"
            complain(error, why)
    return Outcome(out.getvalue(), err.getvalue(), failed, stopped, said, "" if stopped else str(job[1]), why)


@cache
def _same(reading: Reading) -> Reading:
    """The first of equal ones, which has its model loaded."""
    return reading


def _break_off(done: int, total: int, title: str = "") -> None:
    if unwanted():
        raise KeyboardInterrupt
