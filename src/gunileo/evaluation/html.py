"""Parts of HTML pages without other files: readings with errors marked, strips of mouths, pictures as links."""

from __future__ import annotations

import base64
from difflib import SequenceMatcher
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from gunileo.vision.crop import Crops
from gunileo.vision.image import to_jpeg

if TYPE_CHECKING:
    pass


_STRIP = 10  # mouth crops shown of a clip


def marked(said: str, read: str) -> str:
    """HTML of the words read, with those that were not said marked; ``…`` stands where words are missing."""
    a, b = said.split(), read.split()
    parts = []
    for change, a0, a1, b0, b1 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        text = escape(" ".join(b[b0:b1])) or ("…" if a1 > a0 else "")
        parts.append(text if change == "equal" else f"<mark>{text}</mark>")
    return " ".join(parts)


def strip(crops: Crops) -> bytes:
    """Crops, uint8 [T, 100, 150], spread over the middle two thirds, where a clip speaks, side by side as JPEG."""
    pick = np.linspace(len(crops) / 6, len(crops) * 5 / 6 - 1, _STRIP).round().astype(int)
    return to_jpeg(np.concatenate(list(crops[pick]), axis=1))


def uri(content: bytes, kind: str) -> str:
    """A file of media type ``kind`` as the text of a link, so that a page holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
