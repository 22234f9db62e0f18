"""MIRACL-VC1: words and phrases, each said ten times by fifteen speakers, as folders of pictures.

A. Rekik, A. Ben-Hamadou, W. Mahdi, "A new visual speech recognition approach for RGB-D cameras", ICIAR (2014). Of the
pictures the ones in colour are read; those of depth are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from gunileo.corpus.labels import CorpusError
from gunileo.corpus.walk import find_files
from gunileo.vision.mouth import read_stretch
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.view import View

RATE = 15  # pictures a second, of the corpus' Kinect
_SAID = {
    "words": "begin, choose, connection, navigation, next, previous, start, stop, hello, web",
    "phrases": "stop navigation, excuse me, i am sorry, thank you, good bye, i love this game, nice to meet you, "
    "you are welcome, how are you, have a good time",
}
_PLACE = re.compile(r"([FM]\d\d)/(words|phrases)/(\d\d)/(\d\d)", re.IGNORECASE)
_PICTURE = re.compile(r"color_\d+", re.IGNORECASE)


class Take(NamedTuple):
    """One folder of pictures, and what is said in it."""

    id: str
    speaker: str
    folder: Path
    text: str


def is_there(root: Path) -> bool:
    """Whether a folder is MIRACL's, or a speaker's of it."""
    try:
        return any(_PLACE.search(folder.absolute().as_posix()) for folder in root.glob("**/[Cc]olor_001.jpg"))
    except OSError:
        return False


def takes(root: Path) -> list[Take]:
    """The folders of pictures below ``root``; ``CorpusError`` if there is none."""
    folders = sorted({path.parent for path in find_files(root, {".jpg"}) if _PICTURE.fullmatch(path.stem)})
    found = []
    for folder in folders:
        match = _PLACE.search(folder.absolute().as_posix())
        said = _SAID[match[2].lower()].split(", ") if match else []
        if match and 0 < int(match[3]) <= len(said):
            found.append(Take(match[0], match[1].upper(), folder, said[int(match[3]) - 1]))
    if not found:
        raise CorpusError(f"{root} holds no pictures such as F01/words/01/01/color_001.jpg; name MIRACL's folder")
    return found


def read_pictures(folder: Path, view: View | None = None) -> MouthClip:
    """The mouth in a folder's pictures, brought from 15 to 25 a second, with those of a ``view`` if one is given.

    Raises as ``read_mouth`` does.
    """
    return read_stretch(folder / "color_%03d.jpg", RATE, view)[0]
