"""A progress bar for whatever takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_QUICK = 2.0  # seconds


class Bar(Protocol):
    """Called with what is done and of how much (0 if that isn't known); a new ``title`` begins anew."""

    def __call__(self, done: int, total: int, title: str = "") -> None: ...


@contextmanager
def progress(title: str) -> Iterator[Bar]:
    """A bar on standard error, where that is a terminal, from the third second on.

    Lines that are printed meanwhile appear above it.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # What goes to the same terminal has to pass by the bar; what goes to a file or a pipe must not.
    bar = Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty())
    task, begun, shown = bar.add_task(title, total=None), time.monotonic(), False

    def update(done: int, total: int, title: str = "") -> None:
        nonlocal shown
        if title and bar.tasks[0].description != title:
            bar.reset(task, description=title)
        bar.update(task, completed=done, total=total or None)
        if not shown and console.is_terminal and time.monotonic() > begun + _QUICK:
            shown = True
            bar.start()

    try:
        yield update
    finally:
        if shown:
            bar.stop()
