"""The front end of the published visual models: each frame's mouth to 512 numbers.

T. Stafylakis and G. Tzimiropoulos, "Combining residual networks with LSTMs for lipreading" (2017): a convolution over
five frames, then an 18-layer residual network a frame.
"""

from __future__ import annotations

import numpy as np

from gunileo.published.graph import Graph
from gunileo.published.layers import batch_normalised, swish
from gunileo.published.weights import Array, Tensors
from gunileo.published.winograd import convolved

SIDE = 88  # pixels of a crop
CHANNELS = (64, 128, 256, 512)
_SIDES = (22, 11, 6, 3)  # of each stage's pictures
_FIRST = 64  # channels up to which a plain convolution is the faster one


def front_end(g: Graph, w: Tensors, frames: str, activation: str) -> str:
    """Frames [T, 1, 88, 88] to [T, 512].

    The convolution over five frames is written as one over five planes of a picture, the same sums, for which ONNX
    Runtime has fast code.
    """
    weight = w.take("encoder.frontend.frontend3D.0.weight", 64, 1, 5, 7, 7)[:, 0]
    weight, bias = batch_normalised(w, "encoder.frontend.frontend3D.1", weight)
    padded = g("Pad", frames, np.array([2, 0, 0, 0, 2, 0, 0, 0], np.int64))
    shifted = [g.slice(padded, 0, 0, -4), *(g.slice(padded, 0, step, step - 4) for step in (1, 2, 3))]
    planes = g("Concat", *shifted, g.slice(padded, 0, 4, 2**31), axis=1)
    x = g("Conv", planes, weight, bias, kernel_shape=[7, 7], strides=[2, 2], pads=[3] * 4)
    x = g("MaxPool", swish(g, x), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    before = CHANNELS[0]
    for number, (channels, side) in enumerate(zip(CHANNELS, _SIDES, strict=True), 1):
        x = _Stage(g, w, f"encoder.frontend.trunk.layer{number}", channels, side, activation)(x, before)
        before = channels
    return g.reshape(g("GlobalAveragePool", x), 0, CHANNELS[-1])


class _Stage:
    """Two basic blocks, the first of which halves the pictures' sides unless its channels are as many as before."""

    def __init__(self, g: Graph, w: Tensors, name: str, channels: int, side: int, activation: str) -> None:
        self._g, self._w, self._name = g, w, name
        self._channels, self._side, self._activation = channels, side, activation
        self._plain = channels <= _FIRST

    def __call__(self, x: str, before: int) -> str:
        """Pictures [T, before, ...] to [T, channels, side, side]. In between they may lie as [side, side, channels, T],
        as ``winograd.convolved`` takes them."""
        g, step = self._g, 1 if before == self._channels else 2
        inner = self._convolved("0.conv1", "0.bn1", x, before, 3, step)
        if step == 2:
            x = self._convolved("0.downsample.0", "0.downsample.1", x, before, 1, step)
        if not self._plain:
            inner, x = (self._turned(one) for one in (inner, x))
        inner = self._same("0.conv2", "0.bn2", self._activated("0.relu1", inner))
        x = self._activated("0.relu2", g("Add", inner, x))
        inner = self._activated("1.relu1", self._same("1.conv1", "1.bn1", x))
        x = self._activated("1.relu2", g("Add", self._same("1.conv2", "1.bn2", inner), x))
        return x if self._plain else self._turned_back(x)

    def _turned(self, x: str) -> str:
        """Pictures [T, channels, side, side] as [side, side, channels, T]: in two steps, which ONNX Runtime does five
        times as fast as one."""
        rows = self._g.reshape(self._g("Transpose", x, perm=[0, 2, 3, 1]), 0, -1)
        return self._g.reshape(self._g("Transpose", rows, perm=[1, 0]), self._side, self._side, self._channels, -1)

    def _turned_back(self, x: str) -> str:
        size = self._side**2 * self._channels
        rows = self._g("Transpose", self._g.reshape(x, size, -1), perm=[1, 0])
        return self._g(
            "Transpose", self._g.reshape(rows, -1, self._side, self._side, self._channels), perm=[0, 3, 1, 2]
        )

    def _same(self, name: str, norm: str, x: str) -> str:
        """A convolution 3x3 of as many channels, and the normalisation after it."""
        if self._plain:
            return self._convolved(name, norm, x, self._channels, 3, 1)
        return convolved(self._g, x, *self._weights(name, norm, self._channels, 3), self._side)

    def _convolved(self, name: str, norm: str, x: str, before: int, kernel: int, step: int) -> str:
        weight, bias = self._weights(name, norm, before, kernel)
        sizes = {"kernel_shape": [kernel] * 2, "strides": [step] * 2, "pads": [kernel // 2] * 4}
        return self._g("Conv", x, weight, bias, **sizes)

    def _weights(self, name: str, norm: str, before: int, kernel: int) -> tuple[Array, Array]:
        weight = self._w.take(f"{self._name}.{name}.weight", self._channels, before, kernel, kernel)
        return batch_normalised(self._w, f"{self._name}.{norm}", weight)

    def _activated(self, name: str, x: str) -> str:
        if self._activation == "swish":
            return swish(self._g, x)
        if self._activation == "relu":
            return self._g("Relu", x)
        slope = self._w.take(f"{self._name}.{name}.weight", self._channels)
        return self._g("PRelu", x, slope.reshape(-1, 1, 1) if self._plain else slope.reshape(-1, 1))
