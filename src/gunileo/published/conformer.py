"""The conformer encoder of the published visual models as an ONNX graph.

A. Gulati et al., "Conformer" (2020), with the relative positions of Z. Dai et al., "Transformer-XL" (2019), appendix B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gunileo.published.errors import ImportFault
from gunileo.published.graph import Graph
from gunileo.published.layers import (
    batch_normalised,
    feed_forward,
    linear,
    normalised,
    sinusoids,
    swish,
)
from gunileo.published.onnx_file import Shape
from gunileo.published.residual import CHANNELS, SIDE, front_end
from gunileo.published.weights import Tensors

_TABLE = 5000  # positions of the legacy table


@dataclass(frozen=True)
class Settings:
    """A published conformer's sizes and kinds."""

    tokens: tuple[str, ...]  # blank first, end last
    width: int
    heads: int
    units: int
    layers: int
    decoder_units: int
    decoder_layers: int
    kernel: int
    macaron: bool = True
    convolution: bool = True
    legacy_positions: bool = False
    activation: str = "swish"  # or "prelu" or "relu", of the residual network


def encoder_graph(w: Tensors, settings: Settings) -> Graph:
    """A graph from mouth crops to what each frame shows.

    Input ``regions``, float32 [1, 1, T, 88, 88]: ``vision.mean_face.normalise``. Outputs, of T frames:
    ``log_probabilities`` [1, T, tokens] of CTC, ``features`` [1, T, width] of the encoder and ``frontend`` [1, T, 512].
    """
    g, size = Graph("conformer"), settings.width
    regions = g.input("regions", "float32", (1, 1, "T", SIDE, SIDE))
    x = front = front_end(g, w, g.reshape(regions, -1, 1, SIDE, SIDE), settings.activation)
    x = g("Mul", linear(g, w, "encoder.embed.0", x, CHANNELS[-1], size), np.float32(math.sqrt(size)))
    positions = _legacy_positions(g, x, size) if settings.legacy_positions else _positions(g, x, size)
    for number in range(settings.layers):
        x = _block(g, w, f"encoder.encoders.{number}", x, positions, settings)
    x = normalised(g, w, "encoder.after_norm", x, size)
    tokens = len(settings.tokens)
    ctc = g("LogSoftmax", linear(g, w, "ctc.ctc_lo", x, size, tokens), axis=-1)
    for name, value, last in (("log_probabilities", ctc, tokens), ("features", x, size), ("frontend", front, 512)):
        g.output(name, g("Unsqueeze", value, np.array([0], np.int64)), (1, "T", last))
    return g


def _positions(g: Graph, x: str, size: int) -> str:
    """Sinusoids [2T-1, size] of the distances T-1, ..., 0, ..., 1-T."""
    length = g.reshape(g.size(x, 0))
    end = g("Neg", length)
    return _ranged(g, g("Sub", length, np.int64(1)), end, size)


def _legacy_positions(g: Graph, x: str, size: int) -> str:
    """Sinusoids [T, size] of the positions 4999, 4998, ...: the first T rows of a table for 5,000, reversed."""
    length = g.reshape(g.size(x, 0))
    return _ranged(g, g.constant(np.int64(_TABLE - 1)), g("Sub", np.int64(_TABLE - 1), length), size)


def _ranged(g: Graph, start: str, end: str, size: int) -> str:
    numbers = g("Cast", g("Range", start, end, np.int64(-1)), to=1)
    return sinusoids(g, g.reshape(numbers, -1, 1), size)


def _block(g: Graph, w: Tensors, name: str, x: str, positions: str, settings: Settings) -> str:
    size, units = settings.width, settings.units

    def half(part: str, norm: str, share: float) -> str:
        step = feed_forward(g, w, f"{name}.{part}", normalised(g, w, f"{name}.{norm}", x, size), size, units)
        return g("Add", x, g("Mul", step, np.float32(share)) if share != 1 else step)

    if settings.macaron:
        x = half("feed_forward_macaron", "norm_ff_macaron", 0.5)
    normal = normalised(g, w, f"{name}.norm_mha", x, size)
    x = g("Add", x, _attention(g, w, f"{name}.self_attn", normal, positions, settings))
    if settings.convolution:
        normal = normalised(g, w, f"{name}.norm_conv", x, size)
        x = g("Add", x, _convolution(g, w, f"{name}.conv_module", normal, settings))
    x = half("feed_forward", "norm_ff", 0.5 if settings.macaron else 1)
    return normalised(g, w, f"{name}.norm_final", x, size) if settings.convolution else x


def _attention(g: Graph, w: Tensors, name: str, x: str, positions: str, settings: Settings) -> str:
    size, heads = settings.width, settings.heads
    each = size // heads

    def split(value: str, order: list[int]) -> str:
        return g("Transpose", g.reshape(value, -1, heads, each), perm=order)

    query = g.reshape(linear(g, w, f"{name}.linear_q", x, size, size), -1, heads, each)
    keys = split(linear(g, w, f"{name}.linear_k", x, size, size), [1, 2, 0])
    values = split(linear(g, w, f"{name}.linear_v", x, size, size), [1, 0, 2])
    places = split(linear(g, w, f"{name}.linear_pos", positions, size, size, bias=False), [1, 2, 0])
    with_u, with_v = (
        g("Transpose", g("Add", query, w.take(f"{name}.pos_bias_{one}", heads, each)), perm=[1, 0, 2]) for one in "uv"
    )
    by_content = g("MatMul", with_u, keys)
    by_place = _shifted(g, g("MatMul", with_v, places), heads, not settings.legacy_positions)
    scores = g("Mul", g("Add", by_content, by_place), np.float32(1 / math.sqrt(each)))
    mixed = g("MatMul", g("Softmax", scores, axis=-1), values)
    return linear(g, w, f"{name}.linear_out", g.reshape(g("Transpose", mixed, perm=[1, 0, 2]), 0, size), size, size)


def _shifted(g: Graph, products: str, heads: int, latest: bool) -> str:
    """Products [heads, T, places] of queries and places moved to [heads, T, T]: a query and the key beside it.

    A column of zeros is put before them, they are read as rows of the length T, and the first row is dropped. Of the
    legacy kind, with T places, this gives the next query's products behind the present key; so was it trained.
    """
    length = g.size(products, 1)
    padded = g("Pad", products, np.array([0, 0, 1, 0, 0, 0], np.int64))
    places = g.size(products, 2)
    count = np.array([heads], np.int64)
    folded = g("Reshape", padded, g("Concat", count, np.array([-1], np.int64), length, axis=0))
    kept = g.slice(folded, 1, 1, 2**31)
    back = g("Reshape", kept, g("Concat", count, length, places, axis=0))
    return g.slice(back, 2, 0, length) if latest else back


def _convolution(g: Graph, w: Tensors, name: str, x: str, settings: Settings) -> str:
    size, kernel = settings.width, settings.kernel

    def pointwise(part: str, value: str, out: int) -> str:
        weight = np.ascontiguousarray(w.take(f"{name}.{part}.weight", out, size, 1)[:, :, 0].T)
        return g("Add", g("MatMul", value, weight), w.take(f"{name}.{part}.bias", out))

    value, gate = g.many("Split", 2, pointwise("pointwise_cov1", x, 2 * size), axis=-1)
    x = g("Mul", value, g("Sigmoid", gate))
    weight, bias = w.take(f"{name}.depthwise_conv.weight", size, 1, kernel), w.take(f"{name}.depthwise_conv.bias", size)
    weight, bias = batch_normalised(w, f"{name}.norm", weight, bias)
    planes = g("Unsqueeze", g("Transpose", x, perm=[1, 0]), np.array([0], np.int64))
    planes = g("Conv", planes, weight, bias, kernel_shape=[kernel], pads=[kernel // 2] * 2, group=size)
    x = g("Transpose", g("Squeeze", planes, np.array([0], np.int64)), perm=[1, 0])
    return pointwise("pointwise_cov2", swish(g, x), size)


def source_graph(w: Tensors, settings: Settings) -> Graph:
    """A graph from the encoder's ``features`` [T, width] to what each layer of the decoder attends to.

    They are the same for all hypotheses: ``source_keys`` [layers, heads, width / heads, T] and ``source_values``
    [layers, heads, T, width / heads].
    """
    g, size, heads = Graph("source"), settings.width, settings.heads
    layers, each = settings.decoder_layers, size // heads
    x = g.input("features", "float32", ("T", size))
    keys: Shape = (layers, heads, each, "T")
    values: Shape = (layers, heads, "T", each)
    for side, order, shape in (("k", [1, 2, 0], keys), ("v", [1, 0, 2], values)):
        parts = []
        for number in range(layers):
            value = linear(g, w, f"decoder.decoders.{number}.src_attn.linear_{side}", x, size, size)
            split = g("Transpose", g.reshape(value, -1, heads, each), perm=order)
            parts.append(g("Unsqueeze", split, np.array([0], np.int64)))
        g.output("source_keys" if side == "k" else "source_values", g("Concat", *parts, axis=0), shape)
    return g


def checked(settings: Settings, source: str) -> Settings:
    """The settings; ``ImportFault`` if no network can have them."""
    if settings.width % settings.heads or settings.width % 2:
        raise ImportFault(f"{source}: a width of {settings.width} can't be split among {settings.heads} heads")
    if settings.kernel % 2 == 0:
        raise ImportFault(f"{source}: an even kernel of {settings.kernel} frames has no middle; its settings are wrong")
    if settings.activation not in ("swish", "prelu", "relu"):
        raise ImportFault(f"{source}: relu_type is {settings.activation!r}; swish, prelu and relu are known")
    return settings
