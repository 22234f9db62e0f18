"""A progress bar for whatever takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

_QUICK = 2.0  # seconds


class Bar(Protocol):
    """Called with what is done and of how much (0 if that isn't known); a new ``title`` begins anew."""

    def __call__(self, done: int, total: int, title: str = "") -> None: ...


@contextmanager
def progress(title: str) -> Iterator[Bar]:
    """A bar on standard error, where that is a terminal, from the third second on.

    Lines that are printed meanwhile appear above it.
    """
    shown: Progress | None = None
    begun = time.monotonic()

    def update(done: int, total: int, title: str = title) -> None:
        nonlocal shown
        if shown is None:
            if not sys.stderr.isatty() or time.monotonic() < begun + _QUICK:
                return
            shown = _shown(title)
        task = shown.tasks[0]
        if task.description != title:
            shown.reset(task.id, description=title)
        shown.update(task.id, completed=done, total=total or None)

    try:
        yield update
    finally:
        if shown:
            shown.stop()


def _shown(title: str) -> Progress:
    # What is done in two seconds needn't wait for these.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # What goes to the same terminal has to pass by the bar; what goes to a file or a pipe must not.
    bar = Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty())
    bar.add_task(title, total=None)
    bar.start()
    return bar
