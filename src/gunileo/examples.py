"""Recognising commands by their nearest example: frame features of a network, compared with time warping.

No training: one take of a command is enough. numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]  # [T, F]


@dataclass(frozen=True)
class Match:
    """A command that may have been said: how far its nearest example is, and its share of the confidence, 0-1."""

    text: str
    distance: float
    confidence: float


@dataclass
class Examples:
    """Takes of commands as frame features, and the recogniser that they are."""

    texts: list[str] = field(default_factory=list)
    features: list[Features] = field(default_factory=list)

    @property
    def commands(self) -> tuple[str, ...]:
        """The different commands, in the order in which they were first added."""
        return tuple(dict.fromkeys(self.texts))

    def add(self, text: str, features: Features) -> None:
        """Add a take of a command, float32 [T, F]: from here on it is recognised."""
        self.texts.append(text)
        self.features.append(features)

    def matches(self, features: Features) -> list[Match]:
        """All commands, the likeliest first, for a take's features [T, F]. ``ValueError`` if there are no examples."""
        raise NotImplementedError

    def save(self, path: Path) -> None:
        """Write all as a numpy archive without pickle."""
        raise NotImplementedError


def load(path: Path) -> Examples:
    """What ``Examples.save`` wrote; ``ModelError`` if it is anything else."""
    raise NotImplementedError


def distances(query: Features, others: Sequence[Features]) -> NDArray[np.float64]:
    """Time-warped distances of one take to others."""
    raise NotImplementedError
