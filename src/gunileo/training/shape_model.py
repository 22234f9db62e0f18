"""LabialShape: LabialCNN's convolutions see the mouth, convolutions over time see its shape, and both read together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from gunileo.corpus.grid import CLASSES
from gunileo.training.front_end import FrontEnd, Outputs
from gunileo.training.pace import pace
from gunileo.vision.mouth_shape import FEATURES


@dataclass(frozen=True)
class ShapeConfig:
    """The architecture of a LabialShape; the defaults are the shipped one's, but for what training sets: ``words`` and
    ``sentence``."""

    architecture: ClassVar[str] = "labial-shape"
    channels: tuple[int, ...] = (16, 32, 64)  # of the convolutions over pixels
    shrink: int = 2  # pixels, each way, whose mean the first convolution sees as one
    width: int = 192  # channels of the convolutions over time
    before: tuple[int, ...] = (1, 2, 4, 1)  # dilations of the residual blocks before the word head
    after: tuple[int, ...] = (2, 1)  # and of those that take its output
    kernel: int = 5  # frames
    dropout: float = 0.1  # of whole channels, in a block
    feature_dropout: float = 0.0  # of whole channels of what the convolutions over pixels give
    crop_dropout: float = 0.3  # of whole channels of what the crops add
    normalise: bool = False  # batch normalisation after each convolution over pixels
    words: tuple[str, ...] = ()  # that the head names in each frame
    sentence: float = 0.0  # seconds that a sentence lasts; a slower one is read at this pace. 0: as it was said


class _Block(nn.Module):
    """Two convolutions over time around a residual connection: [N, C, T] to the same."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        reach = kernel // 2
        self.first = nn.Conv1d(width, width, kernel, padding=dilation * reach, dilation=dilation, bias=False)
        self.second = nn.Conv1d(width, width, kernel, padding=reach, bias=False)
        self.first_norm, self.second_norm = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.dropout(nn.functional.silu(self.first_norm(self.first(x * mask))))
        y = self.dropout(self.second_norm(self.second(y * mask)))
        return nn.functional.silu(x + y)


class LabialShape(FrontEnd):
    """Mouth crops and the mouth's shape to log-probabilities of the 37 classes of ``gunileo.corpus.grid``.

    Takes crops ``[N, 1, T, 100, 150]``, normalised by ``gunileo.vision.crop.normalise``, and shapes ``[N, T, 12]`` as
    ``gunileo.vision.mouth_shape.features`` gives them. Either may be missing: ``seen [N, 2]``, 1 or 0, says which of
    both a clip has, crops first, and ``crops`` is None if none has any. So it learns from speakers of whom only shapes
    are known. ``lengths [N]`` are the frames without padding. Padding doesn't change a clip's output.

    The shape goes through one convolution over time, the crops through LabialCNN's convolutions and a residual block;
    their sum goes through residual blocks, a head that names the word in each frame, and blocks that take
    its output as input (self-conditioning, as in LabialCNN).

    Raises ``ValueError`` if the configuration has no words.
    """

    def __init__(self, config: ShapeConfig) -> None:
        if not config.words:
            raise ValueError("the word head needs words, and the configuration has none")
        super().__init__(config.channels, config.shrink, config.normalise)
        self.config = config
        width = config.width
        self.shape = nn.Conv1d(FEATURES, width, 5, padding=2, bias=False)
        self.shape_norm = nn.BatchNorm1d(width)
        self.feature_dropout = nn.Dropout1d(config.feature_dropout)
        self.pixels = nn.Conv1d(self.visual_features, width, 1, bias=False)
        self.pixels_norm = nn.BatchNorm1d(width)
        self.pixels_block = _Block(width, config.kernel, 1, config.dropout)
        self.crop_dropout = nn.Dropout1d(config.crop_dropout)
        self.missing = nn.Parameter(torch.zeros(2, width))  # in place of crops, of a shape
        self.before = nn.ModuleList(_Block(width, config.kernel, one, config.dropout) for one in config.before)
        self.words = nn.Conv1d(width, 1 + len(config.words), 1)
        self.back = nn.Conv1d(1 + len(config.words), width, 1)
        self.after = nn.ModuleList(_Block(width, config.kernel, one, config.dropout) for one in config.after)
        self.classes = nn.Conv1d(width, len(CLASSES), 1)

    def inputs_alone_learn(self) -> None:
        """Let only the layers that take in the shape and the convolutions' features learn, until anything else is
        said."""
        self.requires_grad_(False)
        for layer in (self.shape, self.shape_norm, self.pixels, self.pixels_norm, self.pixels_block):
            layer.requires_grad_(True)
        self.missing.requires_grad_(True)

    def forward(
        self, crops: Tensor | None, lengths: Tensor | None, shape: Tensor, seen: Tensor | None = None
    ) -> Tensor:
        """Log-probabilities [N, T, 37]."""
        return self.heads(crops, lengths, shape, seen)[0]

    def heads(
        self,
        crops: Tensor | None,
        lengths: Tensor | None,
        shape: Tensor,
        seen: Tensor | None = None,
        visual: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities [N, T, 37], and scores of the word in each frame [N, T, 1 + words].

        ``visual`` [N, T, F], what the convolutions made of the crops, may come in place of them.
        """
        clips, frames = shape.shape[:2]
        if lengths is None:
            mask = shape.new_ones(clips, 1, frames)
        else:
            mask = (torch.arange(frames, device=shape.device) < lengths.to(shape.device)[:, None])[:, None].to(shape)
        if seen is None:
            seen = shape.new_tensor([[0.0 if crops is None and visual is None else 1.0, 1.0]]).expand(clips, 2)
        if crops is not None:
            visual = self.visual(crops, lengths)
        return self.read(visual, shape, mask, seen)[:2]

    def read(self, visual: Tensor | None, shape: Tensor, mask: Tensor, seen: Tensor) -> Outputs:
        """As ``heads``, from the convolutions' features [N, T, F] of the crops; ``mask`` [N, 1, T] is 0 at padding."""
        has_crops, has_shape = seen.to(shape.dtype)[:, :, None, None].unbind(1)
        convolved = self.shape_norm(self.shape(shape.transpose(1, 2) * mask))
        x = convolved * has_shape + self.missing[1, :, None] * (1 - has_shape)
        if visual is None:
            x = x + self.missing[0, :, None]
        else:
            pixels = nn.functional.silu(self.pixels_norm(self.pixels(self.feature_dropout(visual.transpose(1, 2)))))
            pixels = self.crop_dropout(self.pixels_block(pixels, mask))
            x = x + pixels * has_crops + self.missing[0, :, None] * (1 - has_crops)
        x = nn.functional.silu(x)
        for block in self.before:
            x = block(x, mask)
        features, words = x, self.words(x)
        x = x + self.back(words.float().softmax(1).to(x.dtype))
        for block in self.after:
            x = block(x, mask)
        scores: Tensor = self.classes(x)
        log_probabilities = scores.float().log_softmax(1).transpose(1, 2)
        return Outputs(log_probabilities, words.transpose(1, 2), features.transpose(1, 2))

    def views(self, visual: Tensor, shape: Tensor) -> Outputs:
        """As ``read``, of clips without padding, but log-probabilities are the mean of two views: crops with the shape,
        and the shape alone.

        The network leans on the crops of faces that it knows. Of those that it never saw, the mean gets fewer words
        wrong. A slow sentence is read as a faster one (``pace``), by what the word head says of the clip as it is. Each
        frame still has its own output. An exported file computes this.
        """
        mask = torch.ones_like(shape[:, :, :1]).transpose(1, 2)
        both = torch.ones_like(shape[:, 0, :2])
        alone = both * both.new_tensor([0.0, 1.0])
        first = seen = self.read(visual, shape, mask, both)
        paced = None
        if self.config.sentence:
            assert first.words is not None  # as this architecture has words
            paced = pace(first.words, self.config.sentence)
            shape, mask = paced.faster(shape), paced.inside
            seen = self.read(paced.faster(visual), shape, mask, both)
        mean = (seen.log_probabilities + self.read(None, shape, mask, alone).log_probabilities) / 2
        mean = mean.log_softmax(-1)
        return first._replace(log_probabilities=paced.restored(mean) if paced else mean)

    def fold(self) -> LabialShape:
        """The same function with batch normalisation folded into the convolutions over pixels; exact in evaluation.

        Returns a copy, in evaluation mode. ONNX Runtime folds that of the convolutions over time when it loads them.
        """
        folded = LabialShape(replace(self.config, normalise=False))
        state = {name: value for name, value in self.state_dict().items() if not name.startswith("convolutions")}
        folded.load_state_dict(state | self.folded_convolutions())
        return folded.eval()
