"""Worker processes, each with one thing to do at a time: one that dies takes nothing else with it."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

from gunileo.errors import GunileoError
from gunileo.util.cores import shares
from gunileo.util.interrupt import undisturbed

Item = TypeVar("Item")
Result = TypeVar("Result")

_context = get_context("spawn")  # not forked: a fork of a process with threads (a progress bar's, say) may hang
_ending: Any = None  # in a worker: whether what it does is still wanted


class WorkerError(GunileoError):
    """Worker processes that can't be started."""


def may_start() -> bool:
    """Whether this process may start others. Daemonic ones, such as workers of Celery and of Python's Pool, may not."""
    return not current_process().daemon


def spread(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    count: int,
    late: Callable[[Item, Result], None] = lambda item, result: None,
) -> Generator[tuple[Item, Result | None]]:
    """Each item with what ``work`` makes of it in one of ``count`` processes, as it is done; None if its process died.

    ``items`` are taken as processes get free. Ctrl-C is for this process alone. Where it, an error of ``work`` or the
    caller ends the loop (``contextlib.closing``), the workers find that they are ``unwanted``; what they make of the
    items that they have is told to ``late``. They end with this process, however that ends. Raises what ``work``
    raises, and ``WorkerError`` if no process can be started. A process that may start none does the work itself, and a
    ``RuntimeWarning`` says so.
    """
    if not may_start():
        warnings.warn("this daemonic process may start no others, so it does all of the work itself", RuntimeWarning, 2)
        for item in items:
            yield item, work(item)
        return
    waiting = iter(items)
    running: dict[Future[Result], tuple[_Pool, Item]] = {}
    ending = _context.RawValue("b", 0)

    def start(pool: _Pool) -> None:
        with undisturbed():  # else an item that is begun just then would be known to nobody
            try:
                item = next(waiting)
            except StopIteration:
                pool.shutdown()  # it is idle; else a process of multiprocessing's that called this could wait for ever
            else:
                future, pool = _submitted(pool, work, item)
                running[future] = pool, item

    try:
        for pool in _pools(count, ending):
            start(pool)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                pool, item = running[future]
                try:
                    result = future.result()
                except BrokenProcessPool:
                    result, pool = None, pool.anew()
                start(pool)  # Ctrl-C may end it, and what is still running is told to ``late``
                del running[future]
                yield item, result
    finally:
        ending.value = 1
        for future, (pool, item) in running.items():
            pool.shutdown()  # once it is done with its item
            if not future.exception():
                late(item, future.result())


def unwanted() -> bool:
    """In a worker: whether the loop that it works for has ended, so that it may break off."""
    return bool(_ending and _ending.value)


class _Pool(ProcessPoolExecutor):
    """One process. It keeps to its ``cores``, where there are any: threads that a library has for its work would wake
    on the core of another process, and wait there."""

    def __init__(self, ending: Any, cores: set[int]) -> None:
        self._own = ending, cores
        with undisturbed():  # else semaphores that are made just then would be left in the system
            super().__init__(1, mp_context=_context, initializer=_begin, initargs=self._own)

    def anew(self) -> _Pool:
        """Another in place of this one, whose process died."""
        return _Pool(*self._own)


def _submitted(pool: _Pool, work: Callable[[Item], Result], item: Item) -> tuple[Future[Result], _Pool]:
    """An item given to a pool, or to a new one if its process died with nothing to do; and which pool has it."""
    try:
        return pool.submit(work, item), pool
    except BrokenProcessPool:
        pool = pool.anew()
        return pool.submit(work, item), pool


def _pools(count: int, ending: Any) -> list[_Pool]:
    """``count`` pools of one process each, once the first is known to start."""
    pools = [_Pool(ending, cores) for cores in shares(count)]
    try:
        for pool in pools[:1]:
            with undisturbed():
                started = pool.submit(os.getpid)
            started.result()
    except BrokenProcessPool:
        message = "worker processes can't start; start them under if __name__ == '__main__':, or free some memory"
        raise WorkerError(message) from None
    return pools


def _begin(ending: Any, cores: set[int]) -> None:
    """Readies a worker process: one thread for its work, one that ends it with the process that started it."""
    global _ending
    _ending = ending
    if cores:
        os.sched_setaffinity(0, cores)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it

    def outlive_nobody() -> None:
        parent = parent_process()
        if parent:
            parent.join()
            os._exit(1)

    Thread(target=outlive_nobody, daemon=True).start()
