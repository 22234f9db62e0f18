"""Other pictures of the mouth than the crop, for networks that take one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gunileo.vision.face import Array
from gunileo.vision.video import Frame


class View(Protocol):
    """Another picture of the mouth than the crop, for networks that take one. It can be pickled."""

    def points(self, landmarks: Array) -> Array:
        """What has to be known of a frame, from its mesh [468, 3]: float32 [K].

        Frames without a face get what lies between their neighbours'.
        """
        ...

    def picture(self, frame: Frame, near: Array, at: int) -> NDArray[np.uint8]:
        """The picture of a frame, the same size for each, from the ``points`` of up to ``crop.RADIUS`` frames before
        and after it, [n, K], of which its own are those at index ``at``."""
        ...

    def inputs(self, pictures: NDArray[np.uint8]) -> dict[str, Array]:
        """What a network takes of a clip's pictures [T, ...], by its inputs' names, each with a batch of one."""
        ...
