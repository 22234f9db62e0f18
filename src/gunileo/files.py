"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gunileo.errors import GunileoError


class FileError(GunileoError):
    """A place that can't be written to."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to, renamed into its place at the end.

    A reader, a crash or a full disk never leaves half a file. Folders are made where missing. Raises
    ``FileError``, one line with the reason, when the place can't be written to; ``path`` is then as it was.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = f"can't be written ({error.strerror}); free some space or choose another place"
        raise FileError(f"{path}: {reason}") from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text, as UTF-8, or bytes as ``whole`` does."""
    with whole(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
