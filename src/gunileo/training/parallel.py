"""Several processes that train one model (``torchrun``): who takes what of a batch, and what they add up.

Their figures are those of one process with the same batches, but for rounding and dropout, which each draws itself.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def is_first() -> bool:
    """Whether this process is the one that writes files and prints; known before the processes are connected."""
    return os.environ.get("RANK", "0") == "0"


def launched() -> tuple[int, int]:
    """Processes on this machine and machines, as ``torchrun`` has started them; one each without it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 1, 1
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return here, int(os.environ["WORLD_SIZE"]) // here


def processes() -> int:
    """The number of processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def number() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def own(batch: list[int]) -> list[int]:
    """This process's part of a batch; all of it where there are fewer clips than processes, which changes no mean."""
    return batch if len(batch) < processes() else batch[number() :: processes()]


def own_batches(batches: list[list[int]]) -> dict[int, list[int]]:
    """Whole batches for this process, by their places; at least one, though another process may have the same."""
    places = range(number(), max(len(batches), number() + 1), processes())
    return {place % len(batches): batches[place % len(batches)] for place in places}


def summed(*numbers: float, device: torch.device) -> list[float]:
    """Each number's sum over the processes."""
    if processes() == 1:
        return list(numbers)
    total = torch.tensor(numbers, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return list(total.tolist())


def gathered(own: dict[_Key, _Value]) -> dict[_Key, _Value]:
    """The entries of all processes."""
    parts: list[dict[_Key, _Value]] = [own] * processes()
    if processes() > 1:
        distributed.all_gather_object(parts, own)
    return {key: value for part in parts for key, value in part.items()}


class _Normalised(torch.autograd.Function):
    """Crops minus their channel's mean, over its standard deviation, times ``weight``, plus ``bias``.

    Also gives the mean, the variance and how many numbers they are of. Lines of pixels, with all channels of each, are
    the columns: PyTorch's own loops are several times slower over as few channels as ours.
    """

    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        lines = _lines(x)
        outside = None if mask is None else torch.nonzero(~mask)[:, 0]
        sums = _sums(lines, len(weight))
        if outside is not None:
            sums -= _sums(_lines(x[:, :, outside]), len(weight))
        if processes() > 1:
            distributed.all_reduce(sums)
        count, mean = sums[2, 0], sums[0] / sums[2]
        variance = (sums[1] / count - mean * mean).clamp(min=0)
        context.save_for_backward(x, mean, variance, weight, count, outside)
        context.eps = eps
        context.mark_non_differentiable(mean, variance, count)
        return _crops(_straight(lines, mean, variance, weight, bias, eps), x), mean, variance, count

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, variance, weight, count, outside = context.saved_tensors
        lines = _lines(x)
        wide = lines.shape[1] // len(weight)
        own = [each.repeat(wide) for each in (weight, mean, variance)]
        rest = torch.empty(0, device=x.device)
        direct, weights, biases = torch.ops.aten.native_batch_norm_backward(
            _lines(gradient), lines, *own, rest, rest, False, context.eps, [True, True, True]
        )
        sums = torch.stack([weights.view(wide, -1).sum(0), biases.view(wide, -1).sum(0)])
        grown = sums.clone()  # those of this process; what they do to the mean and variance is of all
        if processes() > 1:
            distributed.all_reduce(sums)
        # What x changes by its share in the variance, and in the mean, is a straight line of x.
        scale = weight * (variance + context.eps).rsqrt() / count
        direct -= _straight(lines, mean, variance, sums[0] * scale, sums[1] * scale, context.eps)
        back = _crops(direct, x)
        if outside is not None:
            back.index_fill_(2, outside, 0)
        return back, grown[0], grown[1], None, None


def _lines(x: Tensor) -> Tensor:
    """Crops [N, C, T, H, W] as [N * T * H, W * C]."""
    return x.permute(0, 2, 3, 4, 1).flatten(3).flatten(0, 2)


def _crops(lines: Tensor, like: Tensor) -> Tensor:
    """``_lines`` taken back."""
    clips, channels, *rest = like.shape
    return lines.view(clips, *rest, channels).permute(0, 4, 1, 2, 3)


def _straight(lines: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Lines minus mean, over the standard deviation, times weight, plus bias, each given a channel."""
    wide = lines.shape[1] // len(mean)
    mean, variance, weight, bias = (each.repeat(wide) for each in (mean, variance, weight, bias))
    return nn.functional.batch_norm(lines, mean, variance, weight, bias, eps=eps)


def _sums(lines: Tensor, channels: int) -> Tensor:
    """Sums, sums of squares and how many numbers they are of, float32 [3, channels]."""
    columns = lines.shape[1]
    first = torch.zeros(columns, device=lines.device), torch.ones(columns, device=lines.device)
    mean, variance = torch.batch_norm_update_stats(lines, *first, 0.0)
    parts = torch.stack([mean, variance + mean * mean, torch.ones_like(mean)]) * len(lines)
    return parts.view(3, -1, channels).sum(1)


class BatchNorm(nn.BatchNorm3d):
    """Batch normalisation over all processes' parts of a batch, by the frames that are in a clip alone."""

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise [N, C, T, H, W]; ``mask``, bool [T], is false at frames that are in no clip."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        y: Tensor
        y, mean, variance, count = _Normalised.apply(input, self.weight, self.bias, mask, self.eps)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            share = self.momentum or 0.1
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * count / (count - 1), share)
            self.num_batches_tracked += 1
        return y
