"""Several processes that train one model (``torchrun``): who takes what of a batch, and what they add up.

Their figures are those of one process with the same batches, but for rounding and dropout, which each draws itself.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from gunileo.dataset import NO_WORD, Batch

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def is_first() -> bool:
    """Whether this process is the one that writes and tells; known before the processes have met."""
    return os.environ.get("RANK", "0") == "0"


def launched() -> tuple[int, int]:
    """Processes on this machine and machines, as ``torchrun`` has started them; one each without it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 1, 1
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return here, int(os.environ["WORLD_SIZE"]) // here


def processes() -> int:
    """How many train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def number() -> int:
    """This process's, from 0."""
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


def as_long_as_all(batch: Batch) -> Batch:
    """The batch padded to the longest clip of any process's part; normalisation sees padding, too."""
    if processes() == 1:
        return batch
    longest = batch.lengths.max().clone()
    distributed.all_reduce(longest, distributed.ReduceOp.MAX)
    more = int(longest) - batch.regions.shape[2]
    regions = nn.functional.pad(batch.regions, (0, 0, 0, 0, 0, more))
    return batch._replace(regions=regions, words=nn.functional.pad(batch.words, (0, more), value=NO_WORD))


class _Sum(torch.autograd.Function):
    """The sum over all processes, through which gradients flow back to all."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        total = own.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class BatchNorm(nn.BatchNorm3d):
    """Batch normalisation over all processes' parts of a batch; PyTorch's own needs a graphics card for that."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or processes() == 1:
            return super().forward(input)
        x = input.float()
        over, wide = (0, 2, 3, 4), (1, -1, 1, 1, 1)
        count = torch.tensor([x.numel() / x.shape[1]], device=x.device)
        sums: Tensor = _Sum.apply(torch.cat([x.sum(over), count]))  # type: ignore[no-untyped-call]
        many = sums[-1]
        mean = sums[:-1] / many
        centred = x - mean.view(wide)
        squares: Tensor = _Sum.apply(centred.square().sum(over))  # type: ignore[no-untyped-call]
        variance = squares / many
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            share = self.momentum or 0.1
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * many / (many - 1), share)
            self.num_batches_tracked += 1
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale.view(wide) + self.bias.view(wide)).to(input.dtype)
