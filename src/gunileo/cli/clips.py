"""Clips with their texts, as a model takes them: a cache's, or a folder's videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gunileo.cli.options import filled

if TYPE_CHECKING:
    from gunileo.corpus.cache import Cache
    from gunileo.corpus.videos import Videos
    from gunileo.inference.reader import Reader


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
