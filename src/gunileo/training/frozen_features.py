"""Features of frozen convolutions, computed once before training: of each clip a few augmented versions, in a file."""

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
from gunileo.training.front_end import FrontEnd
from gunileo.util.progress import progress
from gunileo.vision.crop import normalise

Features = NDArray[np.float16]


@dataclass(frozen=True)
class FrozenFeatures:
    """Features of clips' crops, a few looks at each. A look is one augmented version of the crops.

    Most of a training step goes into augmenting crops and convolving them. If the convolutions don't learn, that need
    not be done again in each epoch.
    """

    path: Path  # of a file of float16 [frames, F], one frame after the other
    features: int  # of a frame: F
    first: Mapping[str, int]  # of a clip by its id: the row of its first look's first frame
    count: int  # of looks at a clip

    def __call__(self, utterance: CachedUtterance, random: np.random.Generator) -> Features:
        """One of the looks at a clip, float16 [T, F]. Raises ``KeyError`` for a clip that was not looked at."""
        start = self.first[utterance.id] + int(random.integers(self.count)) * utterance.frames
        kept: Features = np.memmap(self.path, np.float16, "r").reshape(-1, self.features)
        return kept[start : start + utterance.frames]


def keep(
    path: Path,
    cache: Cache,
    utterances: Sequence[CachedUtterance],
    network: FrontEnd,
    settings: TrainingConfig,
) -> FrozenFeatures:
    """Write the features of ``settings.looks`` augmented versions of each clip's crops to ``path``.

    A clip's looks depend only on the seed and on its place among the clips. The file takes 1.5 KB a frame and look with
    768 features: 1 GB for 1,000 clips of GRID and eight looks. Raises ``CacheError`` if crops can't be read,
    ``OSError`` if the file can't be written.
    """
    utterances = list({one.id: one for one in utterances}.values())
    count, augmentation = settings.looks, settings.augmentation
    starts = np.cumsum([0] + [count * one.frames for one in utterances]).tolist()
    device = next(network.parameters()).device
    # Written as a file is, not by a memory map, which would kill the process where the disk is full.
    with progress("looking at crops") as bar, torch.inference_mode(), path.open("wb") as file:
        for place, utterance in enumerate(utterances):
            crops = cache.crops(utterance)
            for look in range(count):
                random = np.random.default_rng((settings.seed, place, look))
                pixels = light(normalise(move(crops, augmentation, random)), augmentation, random)
                features = network.visual(torch.from_numpy(pixels)[None, None].to(device))[0]
                file.write(features.half().cpu().numpy().tobytes())
            bar(place + 1, len(utterances))
    first = dict(zip((one.id for one in utterances), starts, strict=False))
    return FrozenFeatures(path, network.visual_features, first, count)
