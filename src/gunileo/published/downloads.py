"""A catalogue's files fetched and held against what is published of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from gunileo.corpus.download import fetch_file
from gunileo.published.catalogue import File
from gunileo.util.progress import progress


def fetch(files: Sequence[File], folder: Path, say: Callable[[str], None]) -> None:
    """Fetch files into a folder, each going on where an earlier call was broken off; those that are there stay.

    Raises ``DownloadError`` if one can't be had or differs from its published checksum, ``FileError`` if there is no
    room.
    """
    for file in files:
        path = folder / file.name
        if path.is_file() and matches(file, path):
            continue
        if not (file.sha256 or file.md5_start or file.git_blob):
            say(f"{file.name}: no checksum is published of it; its own is kept on the model's card")
        with progress(f"{file.name}, MB") as bar:
            fetch_file(file.address, path, lambda part, file=file: matches(file, part), bar, file.bytes)  # type: ignore[misc]


def matches(file: File, path: Path) -> bool:
    """Whether what is at a path is the published file, by its size and whatever checksum is known."""
    size = path.stat().st_size
    blob = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    return (
        (file.bytes is None or size == file.bytes)
        and (not file.sha256 or digest(path, hashlib.sha256()) == file.sha256)
        and (not file.md5_start or digest(path, hashlib.md5(usedforsecurity=False)).startswith(file.md5_start))
        and (not file.git_blob or digest(path, blob) == file.git_blob)
    )


def digest(path: Path, begun: hashlib._Hash) -> str:
    """A file's checksum, after what ``begun`` was given."""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            begun.update(block)
    return begun.hexdigest()
