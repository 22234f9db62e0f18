"""A clip of mouths: a crop and the shape's measures for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.vision.crop import Crops
from gunileo.vision.face import Array
from gunileo.vision.mouth_shape import features


class Mouth(NamedTuple):
    """One frame: the crop, uint8 [100, 150], and the shape's measures, float32 [23] (``mouth_shape.measure``).

    ``view`` is the picture of a ``View``, if the tracker has one. ``other`` says that it is another person's first one,
    ``hidden`` that no face was found, so that it comes from those before and after.
    """

    crop: Crops
    measures: Array
    view: NDArray[np.uint8] | None = None
    other: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class MouthClip:
    """The frames of a clip, 25 a second: crops, uint8 [T, 100, 150], and measures of the shape, float32 [T, 23].

    Measures are in pixels and square pixels, as ``gunileo.vision.mouth_shape.measure`` gives them.
    ``views`` are the pictures of a ``View``, uint8 [T, ...], if one was given.
    """

    crops: Crops
    measures: Array
    views: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, mouths: Sequence[Mouth]) -> MouthClip:
        """The clip of these frames. There has to be at least one."""
        views = [mouth.view for mouth in mouths if mouth.view is not None]
        return cls(
            np.stack([mouth.crop for mouth in mouths]),
            np.stack([mouth.measures for mouth in mouths]),
            np.stack(views) if views else None,
        )

    @classmethod
    def joined(cls, clips: Sequence[MouthClip]) -> MouthClip:
        """Several clips, one after the other, as one clip; all with the pictures of a ``View`` or none."""
        views = [clip.views for clip in clips if clip.views is not None]
        return cls(
            np.concatenate([clip.crops for clip in clips]),
            np.concatenate([clip.measures for clip in clips]),
            np.concatenate(views) if views else None,
        )

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, frames: slice | NDArray[np.integer]) -> MouthClip:
        """Some of the frames, in their order or any other."""
        return MouthClip(self.crops[frames], self.measures[frames], None if self.views is None else self.views[frames])

    def shape(self) -> Array:
        """The shape as a network takes it, float32 [T, 12] (``mouth_shape.features``)."""
        return features(self.measures)
