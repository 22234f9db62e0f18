"""A thread beside this one, for work that can be done ahead."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Aside:
    """Calls functions one after the other on a thread of its own. A context manager: at its end, what was not begun is
    dropped, and what was is waited for.

    Unlike a ``ThreadPoolExecutor``, it also works in a thread that goes on after the main one has ended.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._ended = False
        self._thread = Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._calls.put(None)
        self._thread.join()

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
