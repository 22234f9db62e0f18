"""Numbered pictures as a film: a pattern such as ``frame_%03d.png``, or a folder of them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Self

import av

from gunileo.errors import GunileoError
from gunileo.vision.container import LIMITS, open_media


class NumberedError(GunileoError):
    """Pictures of which it isn't clear which follows which."""


_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"))
_PATTERN = re.compile(r"(.*?)%(0?)(\d*)d(.*)", re.DOTALL)


def is_pattern(name: str) -> bool:
    """Whether a name stands for numbered pictures, as ``frame_%03d.png`` does, and for no file."""
    path = Path(name)
    return bool(_PATTERN.fullmatch(path.name)) and path.suffix.lower() in _SUFFIXES and not os.path.exists(path)


def stem_of(name: str) -> str:
    """A name for what is read from a pattern or a folder."""
    path = Path(name)
    if not is_pattern(name):
        return path.absolute().name or "pictures"
    return path.stem[: path.stem.index("%")].rstrip("_-. ") or path.absolute().parent.name or "pictures"


@dataclass(frozen=True)
class Numbered:
    """Pictures by their numbers, from 0 on. Where a number is missing, the picture before it stands longer."""

    pictures: tuple[tuple[int, Path], ...]

    @classmethod
    def found(cls, name: str) -> Self | None:
        """The pictures that a pattern or a folder names, None if it names none; ``NumberedError`` if two have the same
        number."""
        path = Path(name)
        if is_pattern(name):
            before, zero, width, after = _PATTERN.fullmatch(path.name).groups()  # type: ignore[union-attr]
            digits = rf"\d{{{int(width)},}}" if zero and width else r"\d+"
            wanted = re.compile(re.escape(before.replace("%%", "%")) + f"({digits})" + re.escape(after))
            folder = path.parent
        elif os.path.isdir(path):
            wanted, folder = re.compile(r".*?(\d+)\D*"), path
        else:
            return None
        found: dict[int, Path] = {}
        for picture in sorted(folder.iterdir()) if folder.is_dir() else ():
            if picture.suffix.lower() in _SUFFIXES and not picture.name.startswith("."):
                match = wanted.fullmatch(picture.name if is_pattern(name) else picture.stem)
                if match:
                    other = found.setdefault(int(match[1]), picture)
                    if other != picture:
                        both = f"{other.name} and {picture.name} have the same number"
                        raise NumberedError(f"{name}: {both}; give a pattern of one kind, such as frame_%03d.png")
        if not found:
            return None
        first = min(found)
        step = math.gcd(*(number - first for number in found)) or 1
        return cls(tuple(((number - first) // step, found[number]) for number in sorted(found)))

    def times(self, rate: float) -> tuple[Fraction, Fraction]:
        """Time base and rate."""
        exact = Fraction(rate).limit_denominator(1001)
        return 1 / exact, exact

    @staticmethod
    def decoded(path: Path) -> Iterator[av.VideoFrame]:
        """The picture in a file; none if it holds no picture."""
        with open_media(f"file:{path}", pattern_type="none") as opened:
            if opened.streams.video and opened.streams.video[0].codec_context:
                opened.streams.video[0].codec_context.options = LIMITS
                yield from islice(opened.decode(video=0), 1)
