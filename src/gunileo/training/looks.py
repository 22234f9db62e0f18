"""What still convolutions see of each clip, changed at random in a few ways: their features, kept in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.training.augmentation import light, move
from gunileo.training.config import TrainingConfig
from gunileo.training.visual import Visual
from gunileo.util.progress import progress
from gunileo.vision.crop import normalise

Features = NDArray[np.float16]


@dataclass(frozen=True)
class Looks:
    """Features of clips' crops, a few looks at each; a look is one way in which the crops were changed at random.

    Most of a training step goes into changing crops and convolving them. Where the convolutions don't learn, that need
    not be done in each epoch again.
    """

    path: Path  # of an array float16 [frames, F]
    first: Mapping[str, int]  # of a clip by its id: the row of its first look's first frame
    count: int  # of looks at a clip

    def __call__(self, utterance: CachedUtterance, random: np.random.Generator) -> Features:
        """One of the looks at a clip, float16 [T, F]. Raises ``KeyError`` for a clip that was not looked at."""
        start = self.first[utterance.id] + int(random.integers(self.count)) * utterance.frames
        features: Features = np.load(self.path, mmap_mode="r")[start : start + utterance.frames]
        return features


def keep(
    path: Path,
    cache: Cache,
    utterances: Sequence[CachedUtterance],
    network: Visual,
    settings: TrainingConfig,
) -> Looks:
    """Look at the crops of ``utterances`` as often as ``settings`` say, each time changed anew; write it to ``path``.

    A clip's looks depend on the seed and its place in the cache alone. The file takes 1.5 KB a frame and look with
    768 features: 1 GB for 1,000 clips of GRID and eight looks. Raises ``CacheError`` if crops can't be read.
    """
    utterances = list({one.id: one for one in utterances}.values())
    count, augmentation = settings.looks, settings.augmentation
    starts = np.cumsum([0] + [count * one.frames for one in utterances]).tolist()
    device = next(network.parameters()).device
    with progress("looking at crops") as bar, torch.inference_mode():
        kept = np.lib.format.open_memmap(path, "w+", np.float16, (starts[-1], network.visual_features))
        for place, (utterance, start) in enumerate(zip(utterances, starts, strict=False)):
            crops = cache.crops(utterance)
            for look in range(count):
                random = np.random.default_rng((settings.seed, place, look))
                pixels = light(normalise(move(crops, augmentation, random)), augmentation, random)
                features = network.visual(torch.from_numpy(pixels)[None, None].to(device))[0]
                kept[start + look * utterance.frames :][: utterance.frames] = features.half().cpu().numpy()
            bar(place + 1, len(utterances))
        kept.flush()
    return Looks(path, dict(zip((one.id for one in utterances), starts, strict=False)), count)
