"""Draw docs/mouth.png, the README's picture: python scripts/picture.py

A made-up clip (a public-domain portrait, animated): one frame from the middle of each word, and beneath it the
mouth region that the face tracker cuts out, which is all that a network sees.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gunileo.mouth import mouth_regions
from gunileo.synthetic import speak

UNITS = 1000  # of GRID's alignments in a frame
TARGET = Path(__file__).parents[1] / "docs" / "mouth.png"


def main() -> None:
    """Write the picture."""
    frames, segments = speak("bbaf2n")
    regions = np.stack(list(mouth_regions(frames)))
    words = [segment for segment in segments if segment.word not in ("sil", "sp")]
    figure = Figure(figsize=(9, 2.5), layout="constrained")
    for (face, mouth), segment in zip(figure.subplots(2, len(words)).T, words, strict=True):
        middle = (segment.start + segment.end) // 2 // UNITS
        face.imshow(frames[middle])
        face.set_title(segment.word)
        mouth.imshow(regions[middle], cmap="gray", vmin=0, vmax=255)
        face.axis("off")
        mouth.axis("off")
    figure.savefig(TARGET, dpi=100)
    print(TARGET)


if __name__ == "__main__":
    main()
