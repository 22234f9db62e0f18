"""Clips of a cache or of a folder, with their texts or without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gunileo.cli.jobs import find_jobs
from gunileo.errors import GunileoError

if TYPE_CHECKING:
    from gunileo.corpus.cache import Cache, CachedUtterance
    from gunileo.corpus.videos import Videos
    from gunileo.inference.reader import Reader
    from gunileo.vision.crop import Crops


def clips_in(path: Path, reader: Reader) -> Cache | Videos:
    """A cache, or the videos of a corpus folder. For a model that takes other pictures than a cache has, the videos
    that it was made of.

    Raises ``GunileoError`` if there is nothing to read.
    """
    from gunileo.corpus.videos import Videos

    if not (path / "cache.json").is_file():
        return Videos.in_folder(path, reader.view)
    cache = filled(path)
    return Videos.of_cache(cache, reader.view) if reader.view else cache


def find_clips(source: Path) -> tuple[list[tuple[str, Callable[[], Crops]]], bool]:
    """Name and loader of each clip of a cache or a folder; and whether a part of the folder can't be reached."""
    from functools import partial

    from gunileo.vision.mouth import read_mouth

    def crops_of(path: Path) -> Crops:
        return read_mouth(path).crops

    if (source / "cache.json").is_file():
        cache = filled(source)
        return [(utterance.id, partial(cache.crops, utterance)) for utterance in with_crops(cache)], False
    jobs, lost = find_jobs([str(source)])
    return [(job.stem.as_posix(), partial(crops_of, job.path)) for job in jobs], lost


def filled(path: Path) -> Cache:
    """Open a cache. Raises ``GunileoError`` if it is empty."""
    from gunileo.corpus.cache import Cache

    cache = Cache(path)
    if not cache.utterances:
        raise GunileoError(f"{path}: nothing was prepared here; run 'gunileo prepare SOURCE -o {path}'")
    return cache


def with_crops(cache: Cache) -> list[CachedUtterance]:
    """The utterances that have crops. Raises ``GunileoError`` if there are none."""
    found = [utterance for utterance in cache.utterances if utterance.has_crops]
    if not found:
        raise GunileoError(f"{cache.path}: holds only mouth shapes and no crops; prepare videos into it")
    return found
