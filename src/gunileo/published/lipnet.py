"""LipNet, Y. Assael et al. (arXiv 1611.01599), as published for PyTorch, as an ONNX graph."""

from __future__ import annotations

from string import ascii_uppercase

import numpy as np

from gunileo.published.graph import Graph
from gunileo.published.layers import linear
from gunileo.published.weights import Array, Tensors

TOKENS = ("<blank>", "<space>", *ascii_uppercase)
HEIGHT, WIDTH = 64, 128  # pixels of a crop
_UNITS = 256
_LAYERS = (("conv1", 3, 32, 3, 5, 2), ("conv2", 32, 64, 3, 5, 1), ("conv3", 64, 96, 3, 3, 1))


def lipnet_graph(w: Tensors) -> Graph:
    """A graph from crops in colour to characters.

    Input ``regions``, float32 [1, 3, T, 64, 128]: ``vision.lipnet_crop.normalise``. Outputs ``log_probabilities``
    [1, T, 28] and ``features`` [1, T, 512], what the second GRU makes of each frame.
    """
    g = Graph("lipnet")
    x = g.input("regions", "float32", (1, 3, "T", HEIGHT, WIDTH))
    x = g("Squeeze", g("Transpose", x, perm=[0, 2, 1, 3, 4]), np.array([0], np.int64))
    for name, before, out, frames, kernel, step in _LAYERS:
        weight = w.take(f"{name}.weight", out, before, frames, kernel, kernel)
        x = _convolved(g, weight, w.take(f"{name}.bias", out), x, step)
    x = g("Unsqueeze", g.reshape(x, 0, -1), np.array([1], np.int64))
    x = _gru(g, w, "gru1", x, 96 * 4 * 8)
    x = _gru(g, w, "gru2", x, 2 * _UNITS)
    x = g("Transpose", x, perm=[1, 0, 2])
    g.output("features", x, (1, "T", 2 * _UNITS))
    scores = linear(g, w, "FC", x, 2 * _UNITS, len(TOKENS))
    g.output("log_probabilities", g("LogSoftmax", scores, axis=-1), (1, "T", len(TOKENS)))
    return g


def _convolved(g: Graph, weight: Array, bias: Array, x: str, step: int) -> str:
    """A convolution over three frames, ReLU and pooling of pictures [T, C, H, W].

    The three frames' channels are stacked to one picture's, which gives the same sums by faster code.
    """
    out, before, frames, kernel, _ = weight.shape
    padded = g("Pad", x, np.array([1, 0, 0, 0, 1, 0, 0, 0], np.int64))
    planes = [g.slice(padded, 0, 0, -2), g.slice(padded, 0, 1, -1), g.slice(padded, 0, 2, 2**31)]
    stacked = np.ascontiguousarray(weight.transpose(0, 2, 1, 3, 4).reshape(out, frames * before, kernel, kernel))
    sizes = {"kernel_shape": [kernel] * 2, "strides": [step] * 2, "pads": [kernel // 2] * 4}
    x = g("Relu", g("Conv", g("Concat", *planes, axis=1), stacked, bias, **sizes))
    return g("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])


def _gru(g: Graph, w: Tensors, name: str, x: str, size: int) -> str:
    """A bidirectional GRU over [T, 1, size]: [T, 1, 512]. Torch's gates are reset, update, new; ONNX's update first."""
    both: dict[str, list[Array]] = {"weight_ih": [], "weight_hh": [], "bias": []}
    for way in ("l0", "l0_reverse"):
        for part, columns in (("weight_ih", size), ("weight_hh", _UNITS)):
            both[part].append(_reordered(w.take(f"{name}.{part}_{way}", 3 * _UNITS, columns)))
        biases = [_reordered(w.take(f"{name}.{part}_{way}", 3 * _UNITS)) for part in ("bias_ih", "bias_hh")]
        both["bias"].append(np.concatenate(biases))
    weights = [np.stack(parts) for parts in both.values()]
    states = g("GRU", x, *weights, hidden_size=_UNITS, linear_before_reset=1, direction="bidirectional")
    return g.reshape(g("Transpose", states, perm=[0, 2, 1, 3]), 0, 1, 2 * _UNITS)


def _reordered(gates: Array) -> Array:
    reset, update, new = np.split(gates, 3)
    return np.concatenate([update, reset, new])
