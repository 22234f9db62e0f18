"""Which of a corpus's utterances an epoch takes, and what is known of silence in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gunileo.corpus.cache import CachedUtterance
from gunileo.training.dataset import Shapes
from gunileo.training.shape_augmentation import Silences
from gunileo.vision.video import FPS


def balanced(utterances: Sequence[CachedUtterance], count: int, random: np.random.Generator) -> list[CachedUtterance]:
    """``count`` utterances of the speaker with the fewest, and more of the others.

    Of each speaker, all utterances are drawn before any is drawn again.

    Speakers count by the 0.3rd power of their clips, as languages do in A. Conneau et al., "Unsupervised cross-lingual
    representation learning at scale", 2020: thirty times as many clips are drawn three times as often.
    """
    speakers = sorted({utterance.speaker for utterance in utterances})
    clips = [[utterance for utterance in utterances if utterance.speaker == speaker] for speaker in speakers]
    fewest = min(map(len, clips))
    drawn: list[CachedUtterance] = []
    for own in clips:
        draws = round(count * (len(own) / fewest) ** 0.3)
        drawn += [own[index] for index in np.resize(random.permutation(len(own)), draws)]
    return drawn


def evened(utterances: Sequence[CachedUtterance], random: np.random.Generator) -> list[CachedUtterance]:
    """All utterances of the speaker with the most, and those of the other speakers several times.

    Speakers count by the 0.75th power of their clips: one with a thirtieth of the clips is drawn a thirteenth as often.
    """
    of_each: dict[str, list[CachedUtterance]] = {}
    for utterance in utterances:
        of_each.setdefault(utterance.speaker, []).append(utterance)
    most = max(map(len, of_each.values()), default=0)
    drawn: list[CachedUtterance] = []
    for own in of_each.values():
        count = round(most * (len(own) / most) ** 0.75)
        drawn += [own[index] for index in np.resize(random.permutation(len(own)), count)]
    return drawn


def silences(shapes: Shapes, utterances: Sequence[CachedUtterance]) -> Silences:
    """What is known of mouths before and after sentences, from the clips that have crops and word times."""
    clips = []
    for utterance in utterances:
        if utterance.has_crops and utterance.words:
            start, end = round(utterance.words[0].start * FPS), round(utterance.words[-1].end * FPS)
            if 0 <= start < end <= utterance.frames:
                clips.append((shapes(utterance), start, end))
    return Silences(clips)
