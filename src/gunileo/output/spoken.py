"""What was read from a face of a video, for those who draw it; needs no Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gunileo.output.transcript import Transcript
from gunileo.vision.face import Array
from gunileo.vision.timeline import Timeline


@dataclass(frozen=True)
class Spoken:
    """What was read from a face, and the outline of its mouth crop in each frame of ``read_frames``."""

    transcript: Transcript
    outlines: Sequence[Array | None]
    timeline: Timeline = field(default_factory=Timeline)  # of these frames
