"""A corpus prepared by many machines: Ray runs what the processes of one machine do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from gunileo.corpus.cache import CacheError, Entry, enter
from gunileo.corpus.finders import Utterance
from gunileo.corpus.prepare import Engine, cut_out
from gunileo.util.cluster import TRIES, spread


def on_ray(address: str | None = None, workers: int | None = None) -> Engine:
    """An engine for ``prepare`` that runs on a Ray cluster, or on one of this machine if no address is given.

    At most ``workers`` clips are worked on at a time, one a core if None. Every machine has to see the corpus and the
    cache at the same paths, and needs gunileo. A worker that dies is replaced and its clip begun again; a clip that
    goes on killing workers is reported as such. Raises ``ClusterError`` if the cluster can't be reached.
    """

    def engine(utterances: Sequence[Utterance], cache: Path, _: int) -> Iterator[tuple[Utterance, str | None]]:
        if not utterances:
            return
        for utterance, done in spread(partial(_cut, cache=cache.absolute()), utterances, address, workers):
            if isinstance(done, CacheError):
                raise done
            if isinstance(done, Entry):
                enter(cache, done)
                yield utterance, None
            else:
                died = f"{utterance.video}: {TRIES + 1} workers died, by a crash or for lack of memory; convert it"
                yield utterance, done or died

    return engine


def _cut(utterance: Utterance, cache: Path) -> Entry | str | CacheError:
    """One utterance, in a worker. An error of Ray's would bring its own lines."""
    try:
        return cut_out(utterance, cache)
    except CacheError as error:
        return error
