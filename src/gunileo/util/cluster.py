"""Work spread over the machines of a Ray cluster, as ``workers.spread`` does over processes of this one."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

from gunileo.errors import GunileoError

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3  # more for an item whose worker dies, by that item or by its machine
_AHEAD = 2  # items given out for each core, so that none waits for its next


class ClusterError(GunileoError):
    """A Ray cluster that can't be reached, or has ended."""


def spread(
    work: Callable[[Item], Result], items: Iterable[Item], address: str | None = None, workers: int | None = None
) -> Generator[tuple[Item, Result | None]]:
    """Each item with what ``work`` makes of it on the cluster at ``address``, as it is done; on one of this machine,
    which is begun for it, if None.

    At most ``workers`` items are worked on at a time, one a core if None. ``items`` are taken as cores get free, so
    that any number of them costs the same each. A worker that dies is replaced and its item begun again; one that goes
    on killing workers comes with None. Raises ``ClusterError`` if the cluster can't be reached or ends on this machine,
    and what ``work`` raises.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it tells its makers
    if "ray" not in sys.modules:  # or it tells on standard output, amid the results, of each worker that dies
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    import ray

    begun = ray.is_initialized()
    if not begun:
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            reason = " ".join(str(error).split())[:200]
            if address is None:
                raise ClusterError(
                    f"Ray can't be started on this machine ({reason}); leave out --engine ray"
                ) from error
            raise ClusterError(f"no Ray cluster at {address} ({reason}); start one, or check its address") from error
    try:
        yield from _spread(ray, ray.put(work), iter(items), workers)
    finally:
        if not begun:
            ray.shutdown()


def _spread(ray: Any, work: Any, items: Iterator[Item], workers: int | None) -> Iterator[tuple[Item, Any]]:
    task = ray.remote(num_cpus=1, max_retries=TRIES)(_run)
    running: dict[Any, Item] = {}

    def fill() -> None:
        limit = workers or _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while len(running) < limit:
            try:
                item = next(items)
            except StopIteration:
                return
            running[task.remote(work, item)] = item

    fill()
    while running:
        for done in ray.wait([*running])[0]:
            item = running.pop(done)
            try:
                result = ray.get(done)
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError, ray.exceptions.NodeDiedError):
                result = None
            except ray.exceptions.LocalRayletDiedError as error:
                raise ClusterError(
                    "Ray ended on this machine, by a crash or for lack of memory; start again"
                ) from error
            fill()
            yield item, result


def _run(work: Callable[[Item], Result], item: Item) -> Result:
    return work(item)
