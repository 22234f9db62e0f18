"""Training runs of an epoch or two, and their metrics."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.errors import GunileoError
from gunileo.training.config import TrainingConfig
from gunileo.training.train import train


def trained(
    cache: Cache,
    training: Sequence[CachedUtterance],
    validation: Sequence[CachedUtterance],
    run: Path,
    settings: TrainingConfig,
    resume: bool = False,
) -> Path:
    """The folder of a run that is trained, or trained on."""
    try:
        train(cache, training, validation, run, settings, resume)
    except GunileoError as error:
        if "still blank" not in str(error):  # which so short a run may well be
            raise
    return run


def rows(run: Path) -> list[dict[str, float]]:
    """The metrics of each epoch."""
    with (run / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
