"""A camera's pictures as they come over a WebSocket: a time and a JPEG in each message."""

from __future__ import annotations

import math
import struct
from io import BytesIO

import numpy as np
from PIL import Image

from gunileo.errors import GunileoError
from gunileo.vision.video import MAX_SIDE, Frame

_HEAD = struct.Struct("!d")  # a picture's time in seconds, of any clock that goes on, before its JPEG


class FeedError(GunileoError):
    """A message that can't be understood."""


def opened(message: bytes) -> tuple[float, Frame]:
    """The time and the picture, RGB, in a message. Raises ``FeedError``.

    A few bytes can promise a picture of gigabytes, so its size is looked at before it is decoded.
    """
    try:
        (time,) = _HEAD.unpack_from(message)
        with Image.open(BytesIO(message[_HEAD.size :]), formats=["JPEG"]) as picture:
            if picture.width * picture.height > MAX_SIDE**2 or not math.isfinite(time):
                raise FeedError(f"pictures may have up to {MAX_SIDE}x{MAX_SIDE} pixels, and their times are numbers")
            return time, np.asarray(picture.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise FeedError("not a time and a JPEG, or damaged; send the next one") from error
