"""The published models' transformer decoder and language models as ONNX graphs that take one token at a time.

A. Vaswani et al., "Attention is all you need" (2017), with layer normalisation before each part. Keys and values of
the tokens before are kept, so that a token costs the same however many there were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gunileo.published.conformer import Settings
from gunileo.published.graph import Graph
from gunileo.published.layers import feed_forward, linear, normalised, sinusoids
from gunileo.published.weights import Tensors

_AXIS0 = np.array([0], np.int64)
_TORCH_EPSILON = 1e-5  # of the one layer normalisation in a language model that is torch's own


@dataclass(frozen=True)
class LanguageSettings:
    """A published language model's sizes."""

    tokens: int
    embedding: int
    width: int
    heads: int
    units: int
    layers: int
    sinusoidal: bool  # whether a token's position is added


class _Steps:
    """The inputs and outputs of a graph that takes one token of each hypothesis.

    Inputs: ``tokens``, int64 [B], the last of each hypothesis; ``parents``, int64 [B], which of the P hypotheses of
    the step before each goes on from; ``keys`` and ``values``, float32 [layers, P, heads, t, width / heads], as they
    came out of that step, with t 0 at first. Outputs: ``log_probabilities`` [B, V] of the token that follows, and
    ``next_keys`` and ``next_values`` [layers, B, heads, t + 1, width / heads].
    """

    def __init__(self, g: Graph, layers: int, heads: int, each: int) -> None:
        self.g, self._layers, self.heads, self.each = g, layers, heads, each
        self.tokens = g.input("tokens", "int64", ("B",))
        self.parents = g.input("parents", "int64", ("B",))
        shape = (layers, "P", heads, "t", each)
        kept = [g.input(name, "float32", shape) for name in ("keys", "values")]
        self.position = g("Cast", g.size(kept[0], 3), to=1)
        self._kept = [self._split(g("Gather", one, self.parents, axis=1)) for one in kept]
        self._new: tuple[list[str], list[str]] = ([], [])

    def _split(self, kept: str) -> list[str]:
        parts = self.g.many("Split", self._layers, kept, axis=0)
        return [self.g("Squeeze", part, _AXIS0) for part in parts]

    def attention(self, w: Tensors, name: str, x: str, hidden: str | None = None) -> str:
        """Of the newest token [B, width] over all up to it; ``hidden`` [B, 1, 1, t + 1] is added to the scores."""
        g, size, number = self.g, self.heads * self.each, len(self._new[0])
        names = [f"{name}.linear_{one}" for one in "qkv"]
        weight = np.concatenate([w.take(f"{one}.weight", size, size).T for one in names], axis=1)
        bias = np.concatenate([w.take(f"{one}.bias", size) for one in names])
        together = g("Add", g("MatMul", x, np.ascontiguousarray(weight)), bias)
        query, *pair = (g.reshape(one, 0, self.heads, 1, self.each) for one in g.many("Split", 3, together, axis=1))
        keys, values = (g("Concat", kept[number], one, axis=2) for kept, one in zip(self._kept, pair, strict=True))
        self._new[0].append(g("Unsqueeze", keys, _AXIS0))
        self._new[1].append(g("Unsqueeze", values, _AXIS0))
        scores = g("MatMul", query, g("Transpose", keys, perm=[0, 1, 3, 2]))
        scores = g("Mul", scores, np.float32(1 / math.sqrt(self.each)))
        scores = g("Add", scores, hidden) if hidden else scores
        mixed = g.reshape(g("MatMul", g("Softmax", scores, axis=-1), values), 0, size)
        return linear(g, w, f"{name}.linear_out", mixed, size, size)

    def finish(self, scores: str, tokens: int) -> None:
        """Declare the outputs."""
        g = self.g
        g.output("log_probabilities", g("LogSoftmax", scores, axis=-1), ("B", tokens))
        shape = (self._layers, "B", self.heads, "u", self.each)
        for name, parts in zip(("next_keys", "next_values"), self._new, strict=True):
            g.output(name, g("Concat", *parts, axis=0), shape)


def decoder_graph(w: Tensors, settings: Settings) -> Graph:
    """A graph of one token's step, as ``_Steps`` has it; beside its inputs ``source_keys`` and ``source_values`` of
    the encoder."""
    g, size, heads, each = Graph("decoder"), settings.width, settings.heads, settings.width // settings.heads
    layers, tokens = settings.decoder_layers, len(settings.tokens)
    steps = _Steps(g, layers, heads, each)
    source_keys = g.input("source_keys", "float32", (layers, heads, each, "T"))
    source_values = g.input("source_values", "float32", (layers, heads, "T", each))
    sources = [g.many("Split", layers, one, axis=0) for one in (source_keys, source_values)]
    x = g("Gather", w.take("decoder.embed.0.weight", tokens, size), steps.tokens, axis=0)
    place = sinusoids(g, g.reshape(steps.position, 1, 1), size)
    x = g("Add", g("Mul", x, np.float32(math.sqrt(size))), place)
    for number in range(layers):
        name = f"decoder.decoders.{number}"
        normal = normalised(g, w, f"{name}.norm1", x, size)
        x = g("Add", x, steps.attention(w, f"{name}.self_attn", normal))
        normal = normalised(g, w, f"{name}.norm2", x, size)
        keys, values = (g("Squeeze", one[number], _AXIS0) for one in sources)
        x = g("Add", x, _source_attention(g, w, f"{name}.src_attn", normal, (keys, values), (heads, each)))
        normal = normalised(g, w, f"{name}.norm3", x, size)
        x = g("Add", x, feed_forward(g, w, f"{name}.feed_forward", normal, size, settings.decoder_units))
    x = normalised(g, w, "decoder.after_norm", x, size)
    steps.finish(linear(g, w, "decoder.output_layer", x, size, tokens), tokens)
    return g


def _source_attention(g: Graph, w: Tensors, name: str, x: str, source: tuple[str, str], shape: tuple[int, int]) -> str:
    """Of B hypotheses to the same T frames, as one product a head."""
    (keys, values), (heads, each) = source, shape
    size = heads * each
    query = g.reshape(linear(g, w, f"{name}.linear_q", x, size, size), -1, heads, each)
    scores = g("MatMul", g("Transpose", query, perm=[1, 0, 2]), keys)
    shares = g("Softmax", g("Mul", scores, np.float32(1 / math.sqrt(each))), axis=-1)
    mixed = g.reshape(g("Transpose", g("MatMul", shares, values), perm=[1, 0, 2]), -1, size)
    return linear(g, w, f"{name}.linear_out", mixed, size, size)


def language_graph(w: Tensors, settings: LanguageSettings) -> Graph:
    """A graph of one token's step, as ``_Steps`` has it; ``hidden`` float32 [P, t] and ``next_hidden`` [B, t + 1] mark
    tokens 0, which are not seen, by a large negative number."""
    g, size, tokens = Graph("language model"), settings.width, settings.tokens
    steps = _Steps(g, settings.layers, settings.heads, size // settings.heads)
    before = g("Gather", g.input("hidden", "float32", ("P", "t")), steps.parents, axis=0)
    blank = g("Where", g("Equal", steps.tokens, np.int64(0)), np.float32(-1e30), np.float32(0))
    hidden = g("Concat", before, g.reshape(blank, -1, 1), axis=1)
    x = g("Gather", w.take("embed.weight", tokens, settings.embedding), steps.tokens, axis=0)
    x = linear(g, w, "encoder.embed.0", x, settings.embedding, size)
    x = g("Relu", normalised(g, w, "encoder.embed.1", x, size, _TORCH_EPSILON))
    if settings.sinusoidal:
        place = sinusoids(g, g.reshape(steps.position, 1, 1), size)
        x = g("Add", g("Mul", x, np.float32(math.sqrt(size))), place)
    seen = g("Unsqueeze", hidden, np.array([1, 2], np.int64))
    for number in range(settings.layers):
        name = f"encoder.encoders.{number}"
        normal = normalised(g, w, f"{name}.norm_mha", x, size)
        x = g("Add", x, steps.attention(w, f"{name}.self_attn", normal, seen))
        normal = normalised(g, w, f"{name}.norm_ff", x, size)
        x = g("Add", x, feed_forward(g, w, f"{name}.feed_forward", normal, size, settings.units))
    x = normalised(g, w, "encoder.after_norm", x, size)
    steps.finish(linear(g, w, "decoder", x, size, tokens), tokens)
    g.output("next_hidden", hidden, ("B", "u"))
    return g
