"""A corpus prepared by many machines: Ray Data runs what the processes of one machine do."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gunileo.corpus.cache import CacheError, enter, entry_of
from gunileo.corpus.finders import Utterance
from gunileo.corpus.prepare import Engine, cut_out

_TRIES = 3  # more for a clip whose worker dies, by that clip or by its machine


def on_ray(address: str | None = None, workers: int | None = None) -> Engine:
    """An engine for ``prepare`` that runs on a Ray cluster, or on one of this machine if no address is given.

    At most ``workers`` clips are worked on at a time, one a core if None. Every machine has to see the corpus and the
    cache at the same paths, and needs gunileo. A worker that dies is replaced and its clip begun again; a clip that
    goes on killing workers is reported as such. Raises ``CacheError`` if the cluster can't be reached.
    """

    def engine(utterances: Sequence[Utterance], cache: Path, _: int) -> Iterator[tuple[Utterance, str | None]]:
        if not utterances:
            return
        left = dict(enumerate(utterances))
        for row in _rows(utterances, cache.absolute(), address, workers):
            if row["fatal"]:
                raise CacheError(row["fatal"])
            if row["entry"]:
                enter(cache, entry_of(row["entry"].encode()))
            yield left.pop(row["index"]), row["reason"] or None
        for utterance in left.values():
            yield (
                utterance,
                f"{utterance.video}: {_TRIES + 1} workers died, by a crash or for want of memory; convert it",
            )

    return engine


def _rows(
    utterances: Sequence[Utterance], cache: Path, address: str | None, workers: int | None
) -> Iterator[dict[str, Any]]:
    """What became of each utterance, as each is done."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it tells its makers
    import ray

    begun = ray.is_initialized()
    if not begun:
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError) as error:
            raise CacheError(f"no Ray cluster at {address} ({' '.join(str(error).split())[:200]})") from error
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # a clip a block: the others go on
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        items = [{"index": index, "utterance": utterance} for index, utterance in enumerate(utterances)]
        data = ray.data.from_items(items, override_num_blocks=len(items))
        cut = data.map(partial(_cut, cache=str(cache)), num_cpus=1, concurrency=workers, max_retries=_TRIES)
        yield from cut.iter_rows()
    finally:
        if not begun:
            ray.shutdown()


def _cut(row: dict[str, Any], cache: str) -> dict[str, Any]:
    """One utterance, in a worker; a row of texts, which any version of Ray can carry."""
    result = {"index": row["index"], "entry": "", "reason": "", "fatal": ""}
    try:
        done = cut_out(row["utterance"], Path(cache))
    except CacheError as error:
        return result | {"fatal": str(error)}
    return result | ({"reason": done} if isinstance(done, str) else {"entry": done.line()})
