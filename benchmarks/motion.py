"""What a moving camera costs: python benchmarks/motion.py MODEL CLIP...

Reads GRID clips, whose names tell what is said, as they are and moved as a camera moves: in the hand, while its holder
walks, as a head that nods, and with a jump zoom, as editors make. Prints for each the words that come out wrong with
the grammar, and the clips that the model is sure of. The moves are of clips 360 pixels wide, and grow with the width.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

import gunileo
from gunileo.vision.mouth import mouth_stream
from gunileo.vision.video import FPS, Frame, read_frames

WIDTH = 360  # of the clips that the moves are told for
Move = Callable[[float], tuple[float, float, float]]  # seconds to zoom, and pixels to the right and down


def _wave(hertz: float, pixels: float, seconds: float, turn: float = 0.0) -> float:
    return pixels * float(np.sin(2 * np.pi * (hertz * seconds + turn)))


MOVES: dict[str, Move] = {
    "tripod": lambda t: (1, 0, 0),
    "in the hand: 1 Hz 6 px, 3 Hz 2 px": lambda t: (
        1,
        _wave(1, 6, t) + _wave(3, 2, t),
        _wave(0.8, 6, t, 0.25) + _wave(3.3, 2, t, 0.25),
    ),
    "walking: 2 Hz 10 px": lambda t: (1, _wave(1, 4, t), _wave(2, 10, t)),
    "nodding: 1.2 Hz 15 px": lambda t: (1, 0, _wave(1.2, 15, t)),
    "jump zoom of 1.25 after 1.5 s": lambda t: (1.25 if t > 1.5 else 1, 0, 0),
}


def moved(frame: Frame, move: Move, seconds: float) -> Frame:
    """A frame as the camera sees it after so many seconds; the picture's edge goes on."""
    height, width = frame.shape[:2]
    zoom, right, down = move(seconds)
    grown = width / WIDTH
    matrix = np.array(
        [[zoom, 0, width / 2 * (1 - zoom) + right * grown], [0, zoom, height / 2 * (1 - zoom) + down * grown]]
    )
    return np.asarray(cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def main() -> None:
    """Print a row a move."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("clips", nargs="+", type=Path)
    arguments = parser.parse_args()
    reader = gunileo.load_model(arguments.model)
    print("| move | words wrong | sure |\n|---|---|---|")
    for name, move in MOVES.items():
        wrong = sure = 0
        for clip in arguments.clips:
            frames = (moved(frame, move, number / FPS) for number, frame in enumerate(read_frames(clip)))
            read = reader.transcribe_stream(mouth_stream(frames), clip.name)
            said = gunileo.code_to_text(clip.stem).split()
            wrong += sum(a != b for a, b in zip(said, read.text.split(), strict=True))
            sure += read.sure
        words = 6 * len(arguments.clips)
        print(f"| {name} | {wrong} of {words} | {sure} of {len(arguments.clips)} |", flush=True)


if __name__ == "__main__":
    main()
