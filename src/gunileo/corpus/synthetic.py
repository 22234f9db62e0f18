"""A talking-face corpus made from one portrait: clips and alignments laid out as GRID's.

Sentence -> words -> phones -> mouth shapes -> frames. Speaking rate, pauses, shapes, head movement and
light differ from clip to clip by the seed, so that two clips of one sentence are not the same, and
letters that look alike on lips (b and p, say) look alike here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.grid import SLOTS, code_to_text, text_to_code
from gunileo.corpus.portrait import HEIGHT, WIDTH, Floats, Image, MouthShape, Portrait
from gunileo.corpus.visemes import PRONUNCIATIONS
from gunileo.vision.video import FPS, write_video

FRAMES = 75  # of a clip, three seconds, as in GRID
UNITS = 1000  # of an .align file in a frame: samples at 25 kHz

_DIPHTHONGS = {"EY": ("EH", "IH"), "AY": ("AA", "IH"), "OW": ("AO", "UW"), "AW": ("AA", "UW")}
_VOWELS = {"IY", "IH", "EH", "AE", "AH", "AA", "AO", "UW"}


class _Viseme(NamedTuple):
    shape: MouthShape
    dominance: float  # how much the shape holds against its neighbours'


_PRESSED = _Viseme(MouthShape(width=16.5, press=1), 4)
_TUCKED = _Viseme(MouthShape(width=17, gap=3, jaw=1, tuck=1), 3)
_DENTAL = _Viseme(MouthShape(width=17, gap=5, jaw=2.5, tongue=1), 1.5)
_HISSED = _Viseme(MouthShape(width=18, gap=4, jaw=0.5), 1.2)
_HUSHED = _Viseme(MouthShape(width=13.5, gap=5.5, jaw=1, rounding=0.6), 1.5)
_TIPPED = _Viseme(MouthShape(gap=4.5, jaw=1.5, tongue=0.6), 0.7)
_BACK = _Viseme(MouthShape(width=17, gap=5, jaw=2.5), 0.5)
_VISEMES: dict[str, _Viseme] = {
    "sil": _Viseme(MouthShape(), 1),
    **{"B": _PRESSED, "P": _PRESSED, "M": _PRESSED, "F": _TUCKED, "V": _TUCKED, "TH": _DENTAL, "DH": _DENTAL},
    **{"S": _HISSED, "Z": _HISSED, "CH": _HUSHED, "JH": _HUSHED, "K": _BACK, "G": _BACK},
    **{"T": _TIPPED, "D": _TIPPED, "N": _TIPPED},
    "L": _Viseme(MouthShape(width=17, gap=6, jaw=3, tongue=1), 0.9),
    "R": _Viseme(MouthShape(width=13.5, gap=4, jaw=1, rounding=0.5), 1.2),
    "W": _Viseme(MouthShape(width=9.5, gap=2, jaw=1, rounding=1), 3),
    "Y": _Viseme(MouthShape(width=18, gap=4, jaw=1), 0.7),
    "IY": _Viseme(MouthShape(width=19.5, gap=5, jaw=1.5), 1),
    "IH": _Viseme(MouthShape(width=18, gap=6, jaw=2.5), 0.8),
    "EH": _Viseme(MouthShape(width=18, gap=9, jaw=5), 1),
    "AE": _Viseme(MouthShape(width=18.5, gap=11, jaw=7), 1),
    "AH": _Viseme(MouthShape(width=17, gap=8, jaw=5), 0.7),
    "AA": _Viseme(MouthShape(width=16.5, gap=14, jaw=10), 1.2),
    "AO": _Viseme(MouthShape(width=12.5, gap=10, jaw=7, rounding=0.7), 1.5),
    "UW": _Viseme(MouthShape(width=10.5, gap=3, jaw=1.5, rounding=1), 2),
}


class Interval(NamedTuple):
    """A word or silence (``sil``, ``sp``) of a clip; times in samples at 25 kHz, 1000 a frame."""

    start: int
    end: int
    word: str


def speak(code: str, seed: int = 0, speaker: int = 1) -> tuple[NDArray[np.uint8], list[Interval]]:
    """A clip of the sentence with the six-character GRID ``code``: its frames and its alignment.

    Frames are ``uint8 [75, 288, 360, 3]`` RGB at 25 a second. The same arguments give the same clip.
    Raises ``ValueError`` if ``code`` is no GRID sentence.
    """
    return _speak(Portrait(speaker), code, _clip_rng(code, seed, speaker))


def make_corpus(folder: Path | str, sentences: int | Sequence[str], seed: int = 0, speakers: int = 1) -> list[Path]:
    """Write made-up clips, such as ``s1/bbaf2n.mp4`` and ``align/s1/bbaf2n.align``, and return the videos' paths.

    ``sentences`` are six-character GRID codes that each speaker says, or the number of random ones that each speaker
    says. Speakers are ``s1`` up to ``speakers``: the same face, mirrored and in other light.
    Raises ``ValueError`` if a code is no GRID sentence or comes twice.
    """
    if not isinstance(sentences, int) and len(set(sentences)) < len(sentences):
        raise ValueError("a sentence comes twice; a speaker's clips are named by sentence")
    videos = []
    for speaker in range(1, speakers + 1):
        codes = draw_codes(sentences, seed, speaker) if isinstance(sentences, int) else sentences
        portrait = Portrait(speaker)
        clips, aligns = Path(folder, f"s{speaker}"), Path(folder, "align", f"s{speaker}")
        clips.mkdir(parents=True, exist_ok=True)
        aligns.mkdir(parents=True, exist_ok=True)
        for code in codes:
            frames, segments = _speak(portrait, code, _clip_rng(code, seed, speaker))
            write_video(clips / f"{code}.mp4", frames)
            lines = "".join(f"{segment.start} {segment.end} {segment.word}\n" for segment in segments)
            (aligns / f"{code}.align").write_text(lines, encoding="utf-8")
            videos.append(clips / f"{code}.mp4")
    return videos


def draw_codes(count: int, seed: int = 0, speaker: int = 1, slots: Sequence[Sequence[str]] = SLOTS) -> list[str]:
    """``count`` different random sentence codes, of the words in ``slots`` (all of GRID's by default)."""
    rng = np.random.default_rng([seed, speaker])
    sentences = int(np.prod([len(words) for words in slots]))
    if count > sentences:
        raise ValueError(f"{count} different sentences asked for, {sentences} are possible")
    codes: dict[str, None] = {}
    while len(codes) < count:
        codes[text_to_code(" ".join(str(rng.choice(words)) for words in slots))] = None
    return list(codes)


def _clip_rng(code: str, seed: int, speaker: int) -> np.random.Generator:
    return np.random.default_rng([seed, speaker, *code.encode()])


def _speak(portrait: Portrait, code: str, rng: np.random.Generator) -> tuple[NDArray[np.uint8], list[Interval]]:
    phones, segments = _timing(code_to_text(code), rng)
    shapes = _trajectory(phones, rng)
    motions = _head(rng)
    light = 1 + rng.normal(0, 0.06) + 0.015 * _wander(rng, 1)[:, 0]
    grain = rng.normal(0.5, 2.0, (2 * HEIGHT, 2 * WIDTH, 1)).astype(np.float32)  # of a camera; a new part a frame
    frames = np.empty((FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    for frame, shape, motion, gain in zip(frames, shapes, motions, light, strict=True):
        top, left = rng.integers(HEIGHT), rng.integers(WIDTH)
        picture: Image = portrait.draw(shape, motion)
        lit = picture * np.float32(gain) + grain[top : top + HEIGHT, left : left + WIDTH]
        np.clip(lit, 0, 255, out=lit)
        frame[:] = lit
    return frames, segments


def _timing(text: str, rng: np.random.Generator) -> tuple[list[tuple[str, float]], list[Interval]]:
    """Phones with their lengths in seconds, three seconds in all, and the words' segments."""
    pace = rng.uniform(0.85, 1.25)
    words: list[list[tuple[str, float]]] = []
    for word in text.split():
        if words and rng.random() < 0.15:
            words.append([("sp", rng.uniform(0.04, 0.12))])
        words.append([])
        for phone in PRONUNCIATIONS[word]:
            parts = _DIPHTHONGS.get(phone, (phone,))
            length = 0.11 if phone in _VOWELS or phone in _DIPHTHONGS else 0.075
            # A word of one phone is said longer.
            length *= pace * rng.uniform(0.8, 1.25) * (1.4 if len(PRONUNCIATIONS[word]) == 1 else 1)
            words[-1] += [(part, length * 1.3 / len(parts) if len(parts) > 1 else length) for part in parts]
    spoken = sum(length for word in words for _, length in word)
    total = FRAMES / FPS
    lead = rng.uniform(0.3, 0.7) * (total - spoken)
    said = iter(text.split())
    labels = ["sil", *("sp" if word[0][0] == "sp" else next(said) for word in words), "sil"]
    phones = [[("sil", lead)], *words, [("sil", total - spoken - lead)]]
    ends = np.cumsum([sum(length for _, length in word) for word in phones])
    # GRID's alignments are in steps of ten milliseconds.
    marks = [0, *(250 * np.round(ends * FPS * UNITS / 250)).astype(int).tolist()]
    segments = [Interval(start, end, label) for start, end, label in zip(marks[:-1], marks[1:], labels, strict=True)]
    return [("sil" if name == "sp" else name, length) for word in phones for name, length in word], segments


def _trajectory(phones: list[tuple[str, float]], rng: np.random.Generator) -> list[MouthShape]:
    """A mouth shape a frame: phones blend into each other by their dominance.

    After M. Cohen, D. Massaro, "Modeling coarticulation in synthetic visual speech" (1993), with the phone's
    box smoothed by a Gaussian in place of their exponentials.
    """
    fine = 8  # steps a frame
    steps = np.arange(FRAMES * fine)
    which = np.searchsorted(np.cumsum([length for _, length in phones]) * FPS * fine, steps + 0.5)
    which = np.minimum(which, len(phones) - 1)
    style = rng.normal(1, 0.07, 7)  # this clip's way of talking
    targets = np.array([np.array(_VISEMES[name].shape) * style for name, _ in phones])
    targets += rng.normal(0, 0.03, targets.shape) * targets
    weights = np.array([_VISEMES[name].dominance for name, _ in phones])
    width = 0.026 * FPS * fine  # standard deviation, steps
    kernel = np.exp(-0.5 * (np.arange(-4 * width, 4 * width + 1) / width) ** 2)
    padded = np.pad(which, len(kernel) // 2, mode="edge")
    mass = np.convolve(weights[padded], kernel, mode="valid")[: len(steps)]
    blended = [
        np.convolve((weights[:, None] * targets)[padded, k], kernel, mode="valid")[: len(steps)] for k in range(7)
    ]
    rows = (np.array(blended) / mass)[:, fine // 2 :: fine].T
    return [MouthShape(*row) for row in rows.tolist()]


def _wander(rng: np.random.Generator, channels: int) -> NDArray[np.float64]:
    """Slow random movement ``[75, channels]``, about -1 to 1."""
    knots = rng.normal(0, 0.7, (7, channels))
    at = np.linspace(0, 6, FRAMES)
    low = np.minimum(at.astype(int), 5)
    part = ((1 - np.cos(np.pi * (at - low))) / 2)[:, None]
    return np.asarray(knots[low] * (1 - part) + knots[low + 1] * part)


def _head(rng: np.random.Generator) -> list[Floats]:
    """The head's movement as an affine matrix ``[2, 3]`` a frame: a few pixels, degrees and per cent."""
    place = rng.normal(0, (4, 3, 1.2, 0.02))  # of the whole clip: right, down, degrees, scale
    path = place + _wander(rng, 4) * (2.0, 1.5, 0.8, 0.008)
    middle = (WIDTH / 2, HEIGHT * 0.8)  # about the neck
    matrices = []
    for right, down, degrees, scale in path:
        angle = np.deg2rad(degrees)
        cosine, sine = (1 + scale) * np.cos(angle), (1 + scale) * np.sin(angle)
        turn = np.array([[cosine, sine], [-sine, cosine]])
        shift = np.array(middle) - turn @ middle + (right, down)
        matrices.append(np.hstack([turn, shift[:, None]]).astype(np.float32))
    return matrices
