"""What a folder holds."""

from __future__ import annotations

from pathlib import Path

from gunileo.corpus.finders import Utterance


def files(folder: Path) -> set[str]:
    """The files in a folder and below it, by their paths from there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def cut(*utterances: Utterance) -> set[str]:
    """The files of these utterances in a cache."""
    return {f"{one.id}.{kind}" for one in utterances for kind in ("png", "npy")}
