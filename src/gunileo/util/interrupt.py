"""Ctrl-C: kept from worker processes, and noticed where Python would drop it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from gunileo.errors import Stopped


class _Pressed(KeyboardInterrupt):
    """Ctrl-C. If a ``KeyboardInterrupt`` itself leaves an ``exec`` of text, ``python -m`` ends by the signal, though it
    is caught after that. Dataclasses run text when a module is loaded."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """A process that is started within never gets Ctrl-C; this one gets it at the end.

    The mask keeps it from the new process. It doesn't keep it from this one: another thread, such as OpenBLAS's, takes
    the signal, and Python raises in the main thread all the same. So its handler waits as well.
    """
    told = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread() and callable(told)
    held: list[FrameType | None] = []
    masks = sys.platform != "win32"  # which knows no such thing
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if masks else set()
    try:
        if main:
            signal.signal(signal.SIGINT, lambda _, frame: held.append(frame))
        if masks:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        try:
            if main:
                signal.signal(signal.SIGINT, told)
        finally:
            if masks:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if held and callable(told):
            told(signal.SIGINT, held[0])


@contextmanager
def ctrl_c_sets(ended: Event) -> Iterator[None]:
    """Sets ``ended`` on Ctrl-C, besides; Python drops it while an object is deleted, as PyTorch's loaders often are.

    Nothing is printed of those that it drops.
    """
    alone = threading.current_thread() is threading.main_thread()  # which alone gets it
    if not alone or not callable(signal.getsignal(signal.SIGINT)):  # ignored, as by what a script has in the background
        yield
        return

    def end(*_: object) -> None:
        ended.set()
        raise _Pressed

    def pass_over(dropped: sys.UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            told(dropped)

    before, told = signal.signal(signal.SIGINT, end), sys.unraisablehook
    sys.unraisablehook = pass_over
    try:
        yield
    finally:
        sys.unraisablehook = told
        signal.signal(signal.SIGINT, before)


@contextmanager
def ctrl_c_stops() -> Iterator[None]:
    """``Stopped`` where Ctrl-C ends what is done.

    A native module that is just being loaded makes an ``ImportError`` or a ``SystemError`` of it.
    """
    pressed = Event()
    try:
        with ctrl_c_sets(pressed):
            yield
    except (KeyboardInterrupt, ImportError, SystemError) as error:
        if pressed.is_set():
            raise Stopped("stopped") from error
        raise
