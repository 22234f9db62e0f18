"""A process for work that may hang, crash or eat memory: decoding files that anyone could have sent.

It is asked one thing at a time; whatever goes over its time is ended with the process, and the next one is begun
afresh. Its callers wait in a line of bounded length.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gunileo.errors import GunileoError

_LOOK = 0.1  # seconds between looks whether the caller is still there
_PATIENCE = 20  # seconds that work may take to stop when it is asked to

Tell = Callable[..., None]  # takes how far the work has come


class WorkError(GunileoError):
    """Work that could not be finished."""


class _Stop(Exception):
    """Nobody waits for the work any longer."""


class Busy(GunileoError):
    """No room for more; ``seconds`` is when to come again."""

    def __init__(self, why: str, seconds: int):
        super().__init__(f"{why}; try again in {seconds} s")
        self.seconds = seconds


class Worker:
    """Runs functions of this package in a process of its own, one after the other.

    Each is given ``seconds``, and of address space ``memory`` bytes where a process can be held to it (Linux); so
    many callers may be ``waiting``. ``folder`` holds what the work needs; the process removes it if this one dies.
    """

    def __init__(self, folder: Path, seconds: float, waiting: int, memory: int | None = None):
        self._folder, self._seconds, self._places, self._memory = folder, seconds, waiting + 1, memory
        self._taken = 0  # places: the one at work and those that wait
        self._usual = 2.0  # seconds that work takes, as it has of late
        self._turn = asyncio.Lock()
        atexit.register(self.close)  # else this process would wait for the other one
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place in the line, to be had before a file is taken in. Raises ``Busy`` if there is none."""
        if self._taken >= self._places:
            raise Busy("too much is waiting to be read", max(1, round(self._usual * self._taken)))
        if not self._taken:
            self._ready()  # before there is a file that it would have to remove
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def run(self, function: Callable[..., Any], *arguments: Any, tell: Tell | None = None) -> Any:
        """The result of ``function(*arguments, tell)``, which is called in the process.

        ``tell`` is called on a thread with what the function tells of its progress. If the caller is cancelled, so
        is the work. Raises the ``GunileoError`` that the function raises; ``WorkError`` if it takes too long or its
        process dies.
        """
        async with self._turn:
            stop = threading.Event()
            began = time.monotonic()
            work = asyncio.ensure_future(asyncio.to_thread(self._work, function, arguments, tell, stop))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                stop.set()
                await asyncio.wait([work])
                work.exception()  # of what nobody waits for
                raise
            finally:
                self._usual += (time.monotonic() - began - self._usual) / 8

    def close(self) -> None:
        """End the process, and those that it began."""
        process, connection = self._process, self._connection
        self._process = self._connection = None  # first: who waits for the work closes too
        if process is not None and connection is not None:
            if sys.platform != "win32" and process.pid and process.is_alive():
                with suppress(ProcessLookupError):  # too young to have a group of its own
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
            connection.close()

    def _work(self, function: Callable[..., Any], arguments: Any, tell: Tell | None, stop: threading.Event) -> Any:
        try:
            connection = self._ready()
            connection.send((function, arguments))
            end, stopping = time.monotonic() + self._seconds, False
            while True:
                if stop.is_set() and not stopping:
                    connection.send(None)
                    end, stopping = time.monotonic() + _PATIENCE, True
                if stopping and time.monotonic() > end:
                    raise WorkError("stopped")
                if time.monotonic() > end:
                    raise WorkError(f"not finished after {self._seconds:.0f} s; give it less at once")
                if not connection.poll(_LOOK):
                    continue
                kind, content = connection.recv()
                if kind == "told" and tell:
                    tell(*content)
                elif kind == "done":
                    return content
                elif kind == "failed":
                    raise content
        except (EOFError, OSError) as error:
            self.close()
            raise WorkError("its process ended early; try again, or convert the file to another format") from error
        except WorkError:
            self.close()
            raise

    def _ready(self) -> Connection:
        if self._process is None or self._connection is None or not self._process.is_alive():
            self.close()
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, self._folder, self._memory))
            self._process.start()
            theirs.close()
        return self._connection


def _serve(connection: Connection, folder: Path, memory: int | None) -> None:
    """The process: do what is asked until nobody is left to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends this one
    if sys.platform != "win32":
        os.setsid()  # whatever this one begins can be ended with it
    watch = threading.Thread(target=_outlive_nobody, args=(folder,), daemon=True)
    watch.start()

    def tell(*told: object) -> None:
        connection.send(("told", told))
        if connection.poll():
            connection.recv()
            raise _Stop

    if memory and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        while True:
            work = connection.recv()
            if work is None:  # asked to stop what was just done
                continue
            function, arguments = work
            try:
                result = function(*arguments, tell)
            except _Stop:
                connection.send(("done", None))
            except GunileoError as error:
                connection.send(("failed", error))
            except MemoryError:
                connection.send(("failed", WorkError("takes too much memory; make the picture smaller")))
            else:
                connection.send(("done", result))
    except (EOFError, BrokenPipeError, ConnectionError):  # the server was killed
        watch.join()


def _outlive_nobody(folder: Path) -> None:
    """End this process, and those that it began, with the one that began it; what it does may take hours."""
    server = multiprocessing.parent_process()
    assert server
    server.join()
    shutil.rmtree(folder, ignore_errors=True)
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
