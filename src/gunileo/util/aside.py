"""A thread beside this one, for work that can be done ahead."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

T = TypeVar("T")

_AT_EXIT = 2.0  # seconds for what was begun; a call that waits for a pipe may never end


class Aside:
    """Calls functions one after the other on a thread of its own. A context manager: at its end, what was not begun is
    dropped, and what was is waited for. So it is at the interpreter's end, if a generator still holds one then: Python
    ends daemon threads in the middle of whatever they call, and C++ aborts the process for that.

    Unlike a ``ThreadPoolExecutor``, it also works in a thread that goes on after the main one has ended.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._ended = False
        self._thread = Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        _running.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._thread.join()

    def _end(self) -> None:
        self._ended = True
        self._calls.put(None)

    def call(self, function: Callable[[], T]) -> Future[T]:
        """What the function will return, or raise."""
        future: Future[T] = Future()
        self._calls.put((future, function))
        return future

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if self._ended:
                future.cancel()
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # whoever waits for it gets it
                future.set_exception(error)


_running: WeakSet[Aside] = WeakSet()


@atexit.register
def _end_all() -> None:
    left = [one for one in _running if one._thread.is_alive()]
    for one in left:
        one._end()
    for one in left:
        one._thread.join(_AT_EXIT)
