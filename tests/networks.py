"""Networks as if they had learnt something."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


def as_trained(model: AnyNetwork) -> AnyNetwork:
    """The network with statistics as if it had seen data, so that folding them has something to fold."""
    for module in model.eval().modules():
        if isinstance(module, nn.BatchNorm3d | nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model
