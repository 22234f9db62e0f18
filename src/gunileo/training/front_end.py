"""The visual front-end: the convolutions over mouth crops with which every network begins, and a network's outputs."""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gunileo.training.parallel import BatchNorm
from gunileo.vision.crop import HEIGHT, WIDTH


class Outputs(NamedTuple):
    """What a network gives for clips."""

    log_probabilities: Tensor  # [N, T, 37]
    words: Tensor | None  # scores of the word in each frame, [N, T, 1 + words], if there are words
    features: Tensor  # [N, T, F] from before the word head, or, of the published architecture, of its GRUs


class _MaxPool(nn.MaxPool3d):
    """In the type of its input: autocast would turn bfloat16 to float32 here, at twice the time."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            pooled: Tensor = super().forward(input)
        return pooled


class FrontEnd(nn.Module):
    """A network that begins with LabialCNN's spatio-temporal convolutions over mouth crops."""

    def __init__(self, channels: tuple[int, ...], shrink: int, normalise: bool) -> None:
        super().__init__()
        self.shrink = nn.AvgPool3d((1, shrink, shrink)) if shrink > 1 else nn.Identity()
        self.convolutions = nn.ModuleList()
        height, width = HEIGHT // shrink, WIDTH // shrink
        for index, (inputs, outputs) in enumerate(zip((1, *channels), channels, strict=False)):
            stride = 2 if index == 0 else 1
            block: list[nn.Module] = [nn.Conv3d(inputs, outputs, (3, 5, 5), (1, stride, stride), (1, 2, 2))]
            if normalise:
                block.append(BatchNorm(outputs))
            # The maximum of ReLUs is the ReLU of the maximum, at a quarter of the cost.
            self.convolutions.append(nn.Sequential(*block, _MaxPool((1, 2, 2)), nn.ReLU(inplace=True)))
            height, width = ((size + stride - 1) // stride // 2 for size in (height, width))
        # With the inputs of ``encode`` in the same order: a third faster on processors, no other result.
        self.convolutions.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.visual_features = channels[-1] * height * width

    def visual(self, crops: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The convolutions' features of each frame, [N, T, F]; what is at padding means nothing."""
        if lengths is None:
            return self.convolve(crops.contiguous(memory_format=torch.channels_last_3d)).transpose(1, 2).flatten(2)
        frames, mask, places = _end_to_end(crops, lengths)
        features = self.convolve(frames, mask)[0].index_select(1, places.flatten())
        return torch.unflatten(features, 1, places.shape).transpose(0, 1).transpose(1, 2).flatten(2)

    def convolve(self, crops: Tensor, mask: Tensor | None = None) -> Tensor:
        """The convolutions' features of each frame, [N, channels, T, height, width].

        ``mask``, bool [T], is false at frames that belong to no clip, which then change nothing.
        """
        x: Tensor = self.shrink(crops.transpose(1, 2)).transpose(1, 2)  # frames as channels are quicker
        for block in self.convolutions:
            assert isinstance(block, nn.Sequential)
            conv, *norm, pool, relu = block
            if mask is not None:  # a kernel three frames long would carry such frames into the clips
                x = x * mask[:, None, None]
            x = conv(x)
            if norm:
                x = norm[0](x, mask)
            x = relu(pool(x))
        return x

    def folded_convolutions(self) -> dict[str, Tensor]:
        """The convolutions' part of a state dict, with batch normalisation, if any, folded into the weights."""
        state: dict[str, Tensor] = {}
        for index, block in enumerate(deepcopy(self.convolutions).eval()):
            assert isinstance(block, nn.Sequential)
            conv, norm = block[0], block[1]
            assert isinstance(conv, nn.Conv3d)
            if isinstance(norm, nn.BatchNorm3d):
                conv = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
            state |= {f"convolutions.{index}.0.{name}": value for name, value in conv.state_dict().items()}
        return state


def _end_to_end(crops: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Padded clips as one, [1, 1, frames, height, width], which of its frames are theirs, bool [frames], and where
    each clip's are, [N, T].

    A frame of zeros is all that parts a clip from the next, so that no padding is convolved; all of a clip's padding
    is where that frame is.
    """
    gap = crops.new_zeros(1, *crops.shape[3:])
    clips = [clip[0, :length] for clip, length in zip(crops, lengths.tolist(), strict=True)]
    frames = torch.cat([part for clip in clips for part in (clip, gap)])
    lengths = lengths.to(crops.device)
    gaps = (lengths + 1).cumsum(0) - 1
    mask = torch.ones(len(frames), dtype=torch.bool, device=crops.device)
    mask[gaps] = False
    steps = torch.arange(crops.shape[2], device=crops.device)
    places = (gaps - lengths)[:, None] + torch.minimum(steps, lengths[:, None])
    return frames[None, :, :, :, None].permute(0, 4, 1, 2, 3), mask, places  # channels last
