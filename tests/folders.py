"""What a folder holds."""

from __future__ import annotations

from pathlib import Path


def files(folder: Path) -> set[str]:
    """The files in a folder and below it, by their paths from there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
