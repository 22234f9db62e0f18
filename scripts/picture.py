"""Draw docs/mouth.png and docs/captioned.jpg, the README's pictures: python scripts/picture.py

A made-up clip (a public-domain portrait, animated). The first: one frame from the middle of each word, and beneath it
the mouth crop that the face tracker cuts out, which is all that a network sees. The second: what ``gunileo
transcribe --burn`` makes of the clip, at the first, the third and the last word that it reads.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from gunileo.cli.main import main as gunileo
from gunileo.corpus.synthetic import Interval, speak
from gunileo.vision.mouth import clip_mouths
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.video import FPS, read_frames, write_video

UNITS = 1000  # of GRID's alignments in a frame
CODE = "bbaf2n"
DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Write both pictures."""
    frames, segments = speak(CODE)
    seen(frames, segments, DOCS / "mouth.png")
    captioned(frames, DOCS / "captioned.jpg")


def seen(frames: NDArray[np.uint8], segments: list[Interval], target: Path) -> None:
    """Draw a face and its mouth crop for each word."""
    crops = MouthClip.of(list(clip_mouths(frames))).crops
    words = [segment for segment in segments if segment.word not in ("sil", "sp")]
    figure = Figure(figsize=(9, 2.5), layout="constrained")
    for (face, mouth), segment in zip(figure.subplots(2, len(words)).T, words, strict=True):
        middle = (segment.start + segment.end) // 2 // UNITS
        face.imshow(frames[middle])
        face.set_title(segment.word)
        mouth.imshow(crops[middle], cmap="gray", vmin=0, vmax=255)
        face.axis("off")
        mouth.axis("off")
    figure.savefig(target, dpi=100)
    print(target)


def captioned(frames: NDArray[np.uint8], target: Path) -> None:
    """Draw three frames of the clip with its words drawn in."""
    with tempfile.TemporaryDirectory() as folder:
        clip, drawn = Path(folder, f"{CODE}.mp4"), Path(folder, "drawn")
        write_video(clip, frames)
        with suppress(SystemExit):
            gunileo(["transcribe", str(clip), "--burn", "-f", "json", "-o", str(drawn)])
        (segment,) = json.loads((drawn / f"{CODE}.json").read_text())["segments"]
        words = segment["words"]
        film = list(read_frames(drawn / clip.name))
    times = [(words[place]["start"] + words[place]["end"]) / 2 for place in (0, 2, -1)]
    strip = np.concatenate([film[round(FPS * time)] for time in times], axis=1)
    Image.fromarray(strip).save(target, quality=85, optimize=True)
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
