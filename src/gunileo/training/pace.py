"""The pace of speech: a slow sentence is read as if it were said as fast as those that the network learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gunileo.corpus.cache import CachedUtterance
from gunileo.vision.video import FPS

_FASTEST = 1.4  # times as fast as it was said, at most; more was not measured
# Times the usual length. Longer speech is left as it is, as it may be several sentences: two of GRID's fastest speaker
# last 1.6 times as long as one of all speakers.
_SEVERAL = 1.6


def usual_sentence(utterances: Sequence[CachedUtterance]) -> float | None:
    """Seconds from the first word's start to the last one's end: the mean of all utterances with word times, or None if
    none have times.

    0 if the texts have different numbers of words, or one word each: then a longer utterance need not be a slower one.
    """
    counts = {len(utterance.text.split()) for utterance in utterances}
    if len(counts) != 1 or counts == {1}:
        return 0.0
    spoken = [utterance.words for utterance in utterances if utterance.words]
    return round(sum(words[-1].end - words[0].start for words in spoken) / len(spoken), 3) if spoken else None


class Pace(NamedTuple):
    """Where each frame of the faster clip is taken from, and where each frame of the clip itself is found in it."""

    source: Tensor  # [N, T], frames between which the faster clip is interpolated
    inside: Tensor  # [N, 1, T], 1 in the frames of the faster clip, 0 before and after them
    back: Tensor  # [N, T], whole frames of the faster clip

    def faster(self, values: Tensor) -> Tensor:
        """Values [N, T, F] of the faster clip, which keeps T frames; what is not ``inside`` means nothing."""
        frames = values.shape[1]
        source = self.source.clamp(min=0, max=frames - 1)
        lower = source.floor()
        share = (source - lower)[..., None].to(values)
        upper = (lower + 1).clamp(max=frames - 1)
        return _taken(values, lower.long()) * (1 - share) + _taken(values, upper.long()) * share

    def restored(self, values: Tensor) -> Tensor:
        """Values [N, T, F] of the faster clip for each frame of the clip itself. Frames are repeated and never mixed: a
        mean of two symbols' log-probabilities is neither symbol."""
        return _taken(values, self.back)


def pace(words: Tensor, sentence: float) -> Pace:
    """How to bring clips to the pace at which a sentence lasts so many seconds, by scores [N, T, 1 + words] of the word
    in each frame, silence the first.

    How long speech lasts is the sum of the probabilities that a frame is not silence. The clip is shortened around the
    middle of its speech. Faster speech stays as it is: slowing it down was measured to make reading worse.
    """
    speech = 1 - words.float().softmax(-1)[..., 0]
    frames = torch.ones_like(speech).cumsum(1) - 1
    middle = (speech * frames).sum(1, keepdim=True) / speech.sum(1, keepdim=True).clamp(min=1e-3)
    rate = speech.sum(1, keepdim=True) / (FPS * sentence)
    rate = torch.where(rate > _SEVERAL, torch.ones_like(rate), rate.clamp(1.0, _FASTEST))
    source = frames + (rate - 1) * (frames - middle)
    last = frames[:, -1:]
    back = torch.minimum((frames + (1 / rate - 1) * (frames - middle)).round().clamp(min=0), last)
    # Just the frames that ``back`` points to: what the network says of masked ones means nothing.
    inside = ((frames >= back[:, :1]) & (frames <= back[:, -1:])).to(words)[:, None]
    return Pace(source, inside, back.long())


def _taken(values: Tensor, frames: Tensor) -> Tensor:
    """The rows of values [N, T, F] at ``frames`` [N, T]."""
    first = torch.arange(values.shape[0], device=values.device)[:, None] * values.shape[1]
    return values.flatten(0, 1)[frames + first]
