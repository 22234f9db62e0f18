"""Pictures turned, moved and scaled."""

from __future__ import annotations

import numpy as np
from kornia_rs.imgproc import warp_affine
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def warped(picture: Pixels, to_picture: NDArray[np.float64], shape: tuple[int, int]) -> Pixels:
    """The pixels, uint8 [height, width, 3], that ``to_picture`` [2, 3] maps into a picture; black outside of it.

    ``to_picture`` maps x and y of a pixel's centre; between pixels of the picture it is interpolated linearly.
    """
    turn, shift = np.linalg.inv(to_picture[:, :2]), to_picture[:, 2]
    inverse = np.column_stack([turn, -turn @ shift])
    return np.asarray(warp_affine(np.ascontiguousarray(picture), inverse.ravel().tolist(), shape, "bilinear"))
