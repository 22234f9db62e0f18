"""The pictures that published models take of each frame, from the face mesh: crops in a mean face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gunileo.vision.image import Pixels, Shape, grey, warped

Array = NDArray[np.float32]

# A point of the 468-point mesh for each of iBUG's 68 landmarks from the 18th on: brows, nose, eyes, lips. Our choice;
# the models were trained with other detectors' landmarks.
MESH = np.array(
    [
        *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
        *(168, 197, 5, 4, 75, 97, 2, 326, 305),
        *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
        *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
        *(78, 82, 13, 312, 308, 317, 14, 87),
    ]
)
_RIGHT_EYE, _LEFT_EYE, _NOSE, _MOUTH = MESH[19:25], MESH[25:31], MESH[14:19], MESH[31:]

# Right eye, left eye, nose and mouth of the mean face in 256x256 pixels.
_MEAN_FACE = np.array(
    [
        (102.0739430570659, 94.27230352389712),
        (156.3613054162131, 93.57815605186966),
        (129.00373787023733, 135.90343028603127),
        (129.31337322587925, 157.82299634918854),
    ]
)
_RADIUS = 6  # frames on either side over which points are averaged
_SIDE, _CUT = 88, 96  # pixels of the crop, and of the one whose middle it is
_MEAN, _DEVIATION = 0.421, 0.165  # of grey from 0 to 1, in training

# The 51 points in LipNet's reference face of 256x256 pixels.
_LIPNET_X = (
    *(
        42.703062,
        55.511415,
        73.57952,
        92.291413,
        109.806421,
        142.823424,
        160.338432,
        179.050496,
        197.118464,
        209.926827,
    ),
    *(126.315008, 126.315008, 126.315008, 126.315008, 105.280853, 115.376811, 126.315008, 137.253035, 147.348992),
    *(63.443115, 74.602155, 88.034133, 99.772757, 87.196672, 73.854805),
    *(152.857088, 164.595712, 178.027861, 189.186731, 178.775040, 165.433173),
    *(86.041429, 100.86144, 115.858432, 126.315008, 136.771413, 151.768405, 166.588416, 152.261802, 137.680384),
    *(126.315008, 114.949462, 100.368043, 92.224683, 115.728384, 126.315008, 136.901461, 160.405163, 137.107456),
    *(126.315008, 115.52256),
)
_LIPNET_Y = (
    *(60.834816, 49.30816, 45.866359, 48.552806, 55.874662, 55.874662, 48.552806, 45.866359, 49.30816, 60.834816),
    *(77.372075, 95.062869, 112.60672, 130.666667, 142.903637, 146.661547, 149.863424, 146.661547, 142.903637),
    *(79.602859, 73.174699, 73.361408, 82.21576, 84.496896, 84.322475),
    *(82.21576, 73.361408, 73.174699, 79.602859, 84.322475, 84.496896),
    *(175.826432, 169.882453, 166.807552, 169.399979, 166.807552, 169.882453, 175.826432, 190.260053, 196.640768),
    *(197.850624, 196.640768, 190.260053, 176.604501, 175.572651, 176.698539, 175.572651, 176.604501, 183.327061),
    *(184.627712, 183.327061),
)
_LIPNET_FACE = np.stack([_LIPNET_X, _LIPNET_Y], axis=1)
_LIPNET_CORNER, _LIPNET_CUT = (46, 139), (80, 160)  # left and top, height and width
_LIPNET_FRAMES = 75  # that every clip was filled up to in training


def similarity(
    points: NDArray[np.floating], reference: NDArray[np.floating], keep_spread: bool = False
) -> NDArray[np.float64]:
    """The turn, scale and shift, [2, 3], that bring points [n, 2] nearest to others in the sense of least squares; with
    ``keep_spread`` the scale is that of the points' spreads instead, a little larger."""
    middle, target = points.mean(0, dtype=np.float64), reference.mean(0)
    own, other = points - middle, reference - target
    along = (own * other).sum()
    across = (own[:, 0] * other[:, 1] - own[:, 1] * other[:, 0]).sum()
    spread = (own**2).sum()
    turn = np.array([[along, -across], [across, along]])
    turn *= np.sqrt((other**2).sum() / spread) / np.hypot(along, across) if keep_spread else 1 / spread
    return np.concatenate([turn, (target - turn @ middle)[:, None]], axis=1)


def inverted(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The way back of an affine map [2, 3]."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.concatenate([turn, -(turn @ matrix[:, 2:])], axis=1)


def _cut(picture: Pixels, to_face: NDArray[np.float64], corner: NDArray[np.float64], shape: Shape) -> Pixels:
    """The pixels of a face from its ``corner`` on, black outside of the picture, also half a pixel beyond its edge."""
    framed = np.pad(picture, [(1, 1), (1, 1), (0, 0)][: picture.ndim])
    back = inverted(to_face)
    back[:, 2] += back[:, :2] @ corner + 1
    return warped(framed, back, shape)


def mean_face_crop(frame: Pixels, near: NDArray[np.floating], at: int, side: int) -> Pixels:
    """The grey crop, uint8 [side, side], around the mouth of frame ``at`` of the four points' places [n, 4, 2]."""
    reach = min(_RADIUS, at, len(near) - 1 - at)
    points = near[at - reach : at + reach + 1].mean(0, dtype=np.float64)
    points = points - points.mean(0) + near[at].mean(0, dtype=np.float64)
    to_face = similarity(points, _MEAN_FACE)
    mouth = to_face[:, :2] @ points[3] + to_face[:, 2]
    corner = np.rint(mouth - _CUT / 2) + (_CUT - side) / 2
    return _cut(grey(frame), to_face, corner, (side, side))


def lipnet_crop(frame: Pixels, points: NDArray[np.floating]) -> Pixels:
    """The crop in blue, green and red, uint8 [64, 128, 3], of a frame by its 51 points [51, 2]."""
    to_face = similarity(points, _LIPNET_FACE, keep_spread=True)
    cut = _cut(frame, to_face, np.array(_LIPNET_CORNER, np.float64), _LIPNET_CUT)
    return np.ascontiguousarray(_smaller(cut)[..., ::-1])


def _smaller(picture: Pixels) -> Pixels:
    """Four fifths of a picture's size, linear between pixels' centres, in whole numbers as OpenCV's ``resize``."""
    eighths = [np.divmod(np.arange(size * 4 // 5) * 10 + 1, 8) for size in picture.shape[:2]]
    (rows, below), (columns, beside) = eighths
    whole, beside, below = picture.astype(np.int32), beside[:, None], below[:, None, None]
    wide = whole[:, columns] * (8 - beside) + whole[:, columns + 1] * beside  # in eighths
    mixed = (wide[rows] * (8 - below) >> 4) + (wide[rows + 1] * below >> 4)
    return np.asarray((mixed + 2) >> 2, np.uint8)


@dataclass(frozen=True)
class MeanFace:
    """What the published conformers take: grey crops of 88 pixels; smoothed over half a second."""

    def points(self, landmarks: Array) -> Array:
        """Right eye, left eye, nose and mouth of a mesh [468, 3], as eight numbers."""
        parts = [landmarks[part, :2].mean(0) for part in (_RIGHT_EYE, _LEFT_EYE, _NOSE, _MOUTH)]
        return np.concatenate(parts).astype(np.float32)

    def picture(self, frame: Pixels, near: Array, at: int) -> Pixels:
        """The crop, uint8 [88, 88], of the frame that has the points ``near[at]``."""
        return mean_face_crop(frame, near.reshape(-1, 4, 2), at, _SIDE)

    def inputs(self, pictures: Pixels) -> dict[str, Array]:
        """What the network takes of crops [T, 88, 88]."""
        levels = pictures.astype(np.float32)[None, None] / 255
        return {"regions": np.asarray((levels - _MEAN) / _DEVIATION, np.float32)}


@dataclass(frozen=True)
class LipNetFace:
    """What the published LipNet takes: crops in colour of 64x128 pixels, each frame by itself."""

    def points(self, landmarks: Array) -> Array:
        """51 points of a mesh [468, 3], as 102 numbers."""
        return landmarks[MESH, :2].ravel()

    def picture(self, frame: Pixels, near: Array, at: int) -> Pixels:
        """The crop, uint8 [64, 128, 3], of the frame that has the points ``near[at]``."""
        return lipnet_crop(frame, near[at].reshape(-1, 2))

    def inputs(self, pictures: Pixels) -> dict[str, Array]:
        """What the network takes of crops [T, 64, 128, 3]: filled up with black to 75 frames, as in training."""
        missing = max(0, _LIPNET_FRAMES - len(pictures))
        levels = np.pad(pictures.astype(np.float32) / np.float32(255), ((0, missing), (0, 0), (0, 0), (0, 0)))
        return {"regions": np.ascontiguousarray(levels.transpose(3, 0, 1, 2)[None])}
