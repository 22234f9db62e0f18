"""Tokens of other models than those that come with the package, and log-probabilities that spell texts in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gunileo.decoding.vocabulary import Vocabulary

LETTERS = Vocabulary(("", " ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"))  # 28, as LipNet's
CHARACTERS = Vocabulary(("<blank>", "<unk>", "'", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "<space>", "<eos>"))
PIECES = Vocabulary(
    (
        *("<blank>", "<unk>", "'", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "\u2581", "\u2581A", "\u2581B", "\u2581T"),
        *(
            "\u2581BIN",
            "\u2581BLUE",
            "\u2581THE",
            "\u2581TURN",
            "\u2581LI",
            "GHT",
            "IGHT",
            "IN",
            "ED",
            "\u2581SO",
            "ON",
        ),
        *("\u2581DON", "'T", "<eos>"),
    )
)


def spelled(
    vocabulary: Vocabulary, classes: list[int], hold: int = 2, blanks: int = 1, sure: float = 0.97
) -> NDArray[np.float64]:
    """Log-probabilities [T, C] that name each of the classes for ``hold`` frames, then ``blanks`` of silence."""
    path = [one for number in classes for one in [number] * hold + [0] * blanks]
    chances = np.full((len(path), len(vocabulary)), (1 - sure) / (len(vocabulary) - 1))
    chances[np.arange(len(path)), path] = sure
    return np.log(chances)


def classes_of(vocabulary: Vocabulary, text: str) -> list[int]:
    """The classes of a text, with the space between words where there is one."""
    found: list[int] = []
    for word in vocabulary.spoken(text).split():
        if found and vocabulary.space is not None:
            found.append(vocabulary.space)
        found += vocabulary.spell(word)
    return found
