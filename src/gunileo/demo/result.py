"""What the demo did and measured, for its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gunileo.evaluation.metrics import wer
from gunileo.training.config import TrainingConfig
from gunileo.vision.crop import Crops


class Counts(NamedTuple):
    """How many sentences are for training, for choosing the best epoch, and for the test at the end."""

    training: int = 72
    validation: int = 8
    test: int = 10


class Reading(NamedTuple):
    """A clip that was in no training: its file, what is said in it, and what was read either way."""

    video: Path
    crops: Crops
    said: str
    greedy: str
    grammar: str


@dataclass
class Result:
    """What the demo did and measured."""

    counts: Counts
    settings: TrainingConfig
    readings: list[Reading] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  # of each part of the job
    curve: bytes = b""  # PNG

    def rate(self, how: str, measure: Callable[[Sequence[str], Sequence[str]], float] = wer) -> float:
        """Error rate over the unseen clips of ``how``: "greedy" or "grammar"."""
        return measure([one.said for one in self.readings], [getattr(one, how) for one in self.readings])
