"""Layers that the published networks share, as nodes of ONNX graphs over values [T, width].

Names are those of the state dict; sums and orders those of ``torch.nn`` and ESPnet's transformer.
"""

from __future__ import annotations

import math

import numpy as np

from gunileo.published.errors import ImportFault
from gunileo.published.graph import Graph
from gunileo.published.weights import Array, Tensors

EPSILON = 1e-12  # ESPnet's layer normalisation
_BATCH_EPSILON = 1e-5


def linear(g: Graph, w: Tensors, name: str, x: str, size: int, out: int, bias: bool = True) -> str:
    """``name`` of x [..., size]: [..., out]."""
    product = g("MatMul", x, np.ascontiguousarray(w.take(f"{name}.weight", out, size).T))
    return g("Add", product, w.take(f"{name}.bias", out)) if bias else product


def normalised(g: Graph, w: Tensors, name: str, x: str, size: int, epsilon: float = EPSILON) -> str:
    """Layer normalisation over the last axis."""
    scale, shift = w.take(f"{name}.weight", size), w.take(f"{name}.bias", size)
    return g("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)


def feed_forward(g: Graph, w: Tensors, name: str, x: str, size: int, units: int) -> str:
    """Linear, ReLU, linear."""
    return linear(g, w, f"{name}.w_2", g("Relu", linear(g, w, f"{name}.w_1", x, size, units)), units, size)


def swish(g: Graph, x: str) -> str:
    """x times its sigmoid."""
    return g("Mul", x, g("Sigmoid", x))


def batch_normalised(w: Tensors, name: str, weight: Array, bias: Array | None = None) -> tuple[Array, Array]:
    """A convolution's weight [out, ...] and bias with the batch normalisation ``name`` after it, as one convolution.

    Raises ``ImportFault`` if a variance is below 0.
    """
    out = len(weight)
    variance = w.take(f"{name}.running_var", out)
    if variance.min() < 0:
        raise ImportFault(f"{w.source}: {name}.running_var holds a variance below 0; the file is damaged")
    scale = w.take(f"{name}.weight", out) / np.sqrt(variance + _BATCH_EPSILON)
    shift = w.take(f"{name}.bias", out) - w.take(f"{name}.running_mean", out) * scale
    if bias is not None:
        shift = shift + bias * scale
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), shift


def frequencies(size: int) -> Array:
    """10000^(-2n/size) for n from 0 to size/2, in float32 as the published code has them."""
    exponents = np.arange(0, size, 2, dtype=np.float32) * np.float32(-math.log(10000.0) / size)
    return np.asarray(np.exp(exponents), np.float32)


def sinusoids(g: Graph, positions: str, size: int) -> str:
    """Of positions, float32 [n, 1]: [n, size], sines at even and cosines at odd places."""
    angles = g("Mul", positions, frequencies(size)[None])
    pairs = [g("Unsqueeze", g(op, angles), np.array([2], np.int64)) for op in ("Sin", "Cos")]
    return g.reshape(g("Concat", *pairs, axis=2), 0, size)
