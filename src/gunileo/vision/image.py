"""Pictures: turned, moved and scaled, made grey, and to and from files."""

from __future__ import annotations

import os
from fractions import Fraction
from math import ceil, floor

import av
import numpy as np
from kornia_rs.imgproc import gray_from_rgb, warp_affine
from kornia_rs.io import decode_image_png_u8, encode_image_jpeg
from numpy.typing import NDArray

from gunileo.errors import GunileoError

Pixels = NDArray[np.uint8]
Shape = tuple[int, int]  # height and width

_forked = False  # whether the library's threads were left behind in another process
_warped = False


class PictureError(GunileoError):
    """What is no picture, or not the one that was expected."""


def _after_fork() -> None:
    global _forked
    _forked = _warped


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def warped(picture: Pixels, to_picture: NDArray[np.float64], shape: Shape, continued: bool = False) -> Pixels:
    """The pixels, uint8 [*shape] or [*shape, 3], that ``to_picture`` [2, 3] maps into a picture; black outside of it,
    or with its edge ``continued``.

    ``to_picture`` maps x and y of a pixel's centre; between pixels of the picture values are interpolated linearly.
    The library's pool of threads is gone in a process that was forked after its first use, and a warp would wait for
    it for ever. There pictures are warped a row at a time, which takes three times as long and no pool.
    """
    (a, b, x), (c, d, y) = to_picture.tolist()
    if continued:
        high, wide = shape[0] - 1, shape[1] - 1
        left, right = floor(x + min(0, a * wide) + min(0, b * high)), ceil(x + max(0, a * wide) + max(0, b * high))
        top, bottom = floor(y + min(0, c * wide) + min(0, d * high)), ceil(y + max(0, c * wide) + max(0, d * high))
        if min(left, top) < 0 or right >= picture.shape[1] or bottom >= picture.shape[0]:
            picture, x, y = part(picture, (left, top), (right + 1, bottom + 1)), x - left, y - top
    deep = np.ascontiguousarray(picture).reshape(*picture.shape[:2], -1)
    turn = a, b, c, d
    if not _forked:
        out = _warp(deep, turn, (x, y), shape)
    else:  # a single row is worked on by the calling thread, as the pool's are gone
        rows = (_warp(deep, turn, (x + b * row, y + d * row), (1, shape[1])) for row in range(shape[0]))
        out = np.concatenate([*rows])
    return out.reshape(*shape, *picture.shape[2:])


def _warp(deep: Pixels, turn: tuple[float, float, float, float], corner: tuple[float, float], shape: Shape) -> Pixels:
    """``warped`` for pixels [H, W, channels], by the library: it takes the way from the picture."""
    global _warped
    _warped = True
    (a, b, c, d), (x, y) = turn, corner
    area = a * d - b * c
    inverse = (d / area, -b / area, (b * y - d * x) / area, -c / area, a / area, (c * x - a * y) / area)
    return np.asarray(warp_affine(deep, inverse, shape, "bilinear"), np.uint8)


def part(picture: Pixels, first: tuple[int, int], last: tuple[int, int]) -> Pixels:
    """The pixels from x and y ``first`` up to ``last``; beyond a picture's edge this goes on."""
    (left, top), (right, bottom) = first, last
    height, width = picture.shape[:2]
    before, after = max(0, -left), max(0, right - width)
    above, below = max(0, -top), max(0, bottom - height)
    if not before + after + above + below:
        return picture[top:bottom, left:right]
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        rows, columns = np.arange(top, bottom).clip(0, height - 1), np.arange(left, right).clip(0, width - 1)
        return np.asarray(picture[rows][:, columns], np.uint8)
    out = np.empty((bottom - top, right - left, *picture.shape[2:]), np.uint8)
    down, across = len(out) - below, out.shape[1] - after
    out[above:down, before:across] = picture[max(0, top) : bottom, max(0, left) : right]
    out[above:down, :before], out[above:down, across:] = out[above:down, [before]], out[above:down, [across - 1]]
    out[:above], out[down:] = out[above], out[down - 1]
    return out


def grey(picture: Pixels) -> Pixels:
    """The brightness, uint8 [H, W], of a picture in colour [H, W, 3]: that of ITU-R BT.601."""
    return np.asarray(gray_from_rgb(np.ascontiguousarray(picture)), np.uint8)[..., 0]


def to_png(picture: Pixels) -> bytes:
    """A grey picture, uint8 [H, W], as PNG."""
    coder = av.CodecContext.create("png", "w")
    assert isinstance(coder, av.VideoCodecContext)
    coder.height, coder.width = picture.shape
    coder.pix_fmt, coder.time_base, coder.thread_count = "gray", Fraction(1), 1
    # Of all settings the quickest to write and among the quickest to read, on mouth crops of GRID.
    coder.options = {"pred": "up", "compression_level": "1"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")
    return b"".join(bytes(packet) for packet in (*coder.encode(frame), *coder.encode(None)))


def from_png(content: bytes, shape: tuple[int, int]) -> Pixels:
    """The grey picture, uint8 of ``shape``, in a PNG; ``PictureError`` if it is damaged or another."""
    try:
        return np.asarray(decode_image_png_u8(content, shape, "mono"), np.uint8)[..., 0]
    except Exception as error:  # the decoder's errors have no class of their own
        raise PictureError(str(error)) from error


def to_jpeg(picture: Pixels) -> bytes:
    """A grey picture, uint8 [H, W], as JPEG."""
    return bytes(encode_image_jpeg(np.repeat(picture[..., None], 3, axis=2), 95))
