"""The published networks once more, in plain NumPy and double precision: what their ONNX files are compared with.

Each layer is written by its definition, and shares no code with the graphs. So it is slow, but a few frames will do.
A network's tensors come by the names of VSR-ML's state dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gunileo.published.conformer import Settings
from gunileo.published.decoder import LanguageSettings

Numbers = NDArray[np.float64]
Weights = Mapping[str, NDArray[Any]]


class Encoded(NamedTuple):
    """What an encoder makes of T frames; ``log_probabilities`` [T, tokens] are CTC's."""

    frontend: Numbers  # [T, 512]
    features: Numbers  # [T, width]
    log_probabilities: Numbers


def encoded(w: Weights, settings: Settings, frames: NDArray[Any]) -> Encoded:
    """Of mouth crops [T, 88, 88]: A. Gulati et al., "Conformer" (2020)."""
    front = _front_end(w, settings.activation, frames.astype(np.float64))
    x = _linear(w, "encoder.embed.0", front) * np.sqrt(settings.width)
    for number in range(settings.layers):
        x = _conformer_block(w, f"encoder.encoders.{number}", x, settings)
    x = _layer_norm(w, "encoder.after_norm", x)
    return Encoded(front, x, _log_softmax(_linear(w, "ctc.ctc_lo", x)))


def decoded(w: Weights, settings: Settings, memory: Numbers, tokens: NDArray[np.int64]) -> Numbers:
    """Log-probabilities [t, V] of what follows each of the ``tokens`` [t]; ``memory`` [T, width] is the encoder's."""
    x = w["decoder.embed.0.weight"][tokens] * np.sqrt(settings.width)
    x = x + _sinusoids(np.arange(len(tokens)), settings.width)
    past = np.tri(len(tokens), dtype=bool)
    for number in range(settings.decoder_layers):
        name = f"decoder.decoders.{number}"
        normal = _layer_norm(w, f"{name}.norm1", x)
        x = x + _attention(w, f"{name}.self_attn", normal, normal, settings.heads, past)
        normal = _layer_norm(w, f"{name}.norm2", x)
        x = x + _attention(w, f"{name}.src_attn", normal, memory, settings.heads)
        x = x + _feed_forward(w, f"{name}.feed_forward", _layer_norm(w, f"{name}.norm3", x))
    return _log_softmax(_linear(w, "decoder.output_layer", _layer_norm(w, "decoder.after_norm", x)))


def continued(w: Weights, settings: LanguageSettings, tokens: NDArray[np.int64]) -> Numbers:
    """A language model's log-probabilities [t, V] of what follows each of the ``tokens`` [t]; tokens 0 aren't seen."""
    x = _linear(w, "encoder.embed.0", w["embed.weight"][tokens])
    x = np.maximum(_layer_norm(w, "encoder.embed.1", x, epsilon=1e-5), 0)
    if settings.sinusoidal:
        x = x * np.sqrt(settings.width) + _sinusoids(np.arange(len(tokens)), settings.width)
    seen = np.tri(len(tokens), dtype=bool) & (tokens != 0)
    for number in range(settings.layers):
        name = f"encoder.encoders.{number}"
        normal = _layer_norm(w, f"{name}.norm_mha", x)
        x = x + _attention(w, f"{name}.self_attn", normal, normal, settings.heads, seen)
        x = x + _feed_forward(w, f"{name}.feed_forward", _layer_norm(w, f"{name}.norm_ff", x))
    return _log_softmax(_linear(w, "decoder", _layer_norm(w, "encoder.after_norm", x)))


def lipnet(w: Weights, frames: NDArray[Any]) -> tuple[Numbers, Numbers]:
    """Features [T, 512] and log-probabilities [T, 28] of crops [3, T, 64, 128]: Y. Assael et al., "LipNet" (2016)."""
    x = frames.astype(np.float64)
    for name, step in (("conv1", 2), ("conv2", 1), ("conv3", 1)):
        x = _convolved(x, w[f"{name}.weight"], step) + w[f"{name}.bias"][:, None, None, None]
        x = _pooled(np.maximum(x, 0), 2)
    x = x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1)
    for name in ("gru1", "gru2"):
        x = np.concatenate([_gru(w, name, "l0", x), _gru(w, name, "l0_reverse", x[::-1])[::-1]], axis=1)
    return x, _log_softmax(_linear(w, "FC", x))


def _front_end(w: Weights, activation: str, frames: Numbers) -> Numbers:
    """T. Stafylakis and G. Tzimiropoulos (2017): a convolution over five frames, then an 18-layer residual network."""
    name = "encoder.frontend.frontend3D"
    x = _batch_norm(w, f"{name}.1", _convolved(frames[None], w[f"{name}.0.weight"], 2))
    x = _pooled(_swish(x), 3, 1)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            x = _residual_block(w, f"encoder.frontend.trunk.layer{stage}.{block}", x, activation)
    return np.asarray(x.mean((2, 3)).T)


def _residual_block(w: Weights, name: str, x: Numbers, activation: str) -> Numbers:
    step = 2 if f"{name}.downsample.0.weight" in w else 1

    def part(conv: str, norm: str, x: Numbers, step: int) -> Numbers:
        return _batch_norm(w, f"{name}.{norm}", _convolved(x, w[f"{name}.{conv}.weight"][:, :, None], step))

    def active(number: int, x: Numbers) -> Numbers:
        if activation == "swish":
            return _swish(x)
        slope = w[f"{name}.relu{number}.weight"][:, None, None, None] if activation == "prelu" else 0
        return np.where(x > 0, x, slope * x)

    inner = part("conv2", "bn2", active(1, part("conv1", "bn1", x, step)), 1)
    return active(2, inner + (part("downsample.0", "downsample.1", x, step) if step == 2 else x))


def _conformer_block(w: Weights, name: str, x: Numbers, settings: Settings) -> Numbers:
    share = 0.5 if settings.macaron else 1.0
    if settings.macaron:
        x = x + share * _feed_forward(w, f"{name}.feed_forward_macaron", _layer_norm(w, f"{name}.norm_ff_macaron", x))
    x = x + _relative_attention(w, f"{name}.self_attn", _layer_norm(w, f"{name}.norm_mha", x), settings)
    if settings.convolution:
        x = x + _convolution_module(w, f"{name}.conv_module", _layer_norm(w, f"{name}.norm_conv", x))
    x = x + share * _feed_forward(w, f"{name}.feed_forward", _layer_norm(w, f"{name}.norm_ff", x))
    return _layer_norm(w, f"{name}.norm_final", x) if settings.convolution else x


def _relative_attention(w: Weights, name: str, x: Numbers, settings: Settings) -> Numbers:
    """Z. Dai et al., "Transformer-XL" (2019), appendix B: (q_i + u) k_j + (q_i + v) p_(i-j)."""
    heads, length = settings.heads, len(x)
    query, keys, values = (_heads(_linear(w, f"{name}.linear_{one}", x), heads) for one in "qkv")
    u, v = (w[f"{name}.pos_bias_{one}"][:, None] for one in "uv")
    places = np.arange(4999, 4999 - length, -1) if settings.legacy_positions else np.arange(length - 1, -length, -1)
    beside = _heads(_sinusoids(places, settings.width) @ w[f"{name}.linear_pos.weight"].T, heads)
    by_place = (query + v) @ beside.transpose(0, 2, 1)
    if settings.legacy_positions:  # a column of zeros before it, read as rows of the length T, without the first
        folded = np.concatenate([np.zeros((heads, length, 1)), by_place], axis=2).reshape(heads, length + 1, length)
        by_place = folded[:, 1:]
    else:
        i, j = np.ogrid[:length, :length]
        by_place = by_place[:, i, length - 1 - (i - j)]
    scores = (query + u) @ keys.transpose(0, 2, 1) + by_place
    return _mixed(w, name, scores, values)


def _attention(
    w: Weights, name: str, x: Numbers, source: Numbers, heads: int, seen: NDArray[np.bool_] | None = None
) -> Numbers:
    """A. Vaswani et al., "Attention is all you need" (2017); ``seen`` [t, t] tells which keys each query sees."""
    query = _heads(_linear(w, f"{name}.linear_q", x), heads)
    keys, values = (_heads(_linear(w, f"{name}.linear_{one}", source), heads) for one in "kv")
    scores = query @ keys.transpose(0, 2, 1)
    return _mixed(w, name, scores if seen is None else np.where(seen, scores, -1e30), values)


def _mixed(w: Weights, name: str, scores: Numbers, values: Numbers) -> Numbers:
    """``values`` [heads, T, each] by the softmax of ``scores`` [heads, t, T], and the layer after it: [t, width]."""
    scaled = scores / np.sqrt(values.shape[2])
    shares = np.exp(_log_softmax(scaled))
    return _linear(w, f"{name}.linear_out", (shares @ values).transpose(1, 0, 2).reshape(scores.shape[1], -1))


def _heads(x: Numbers, heads: int) -> Numbers:
    """[T, width] as [heads, T, width / heads]."""
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def _convolution_module(w: Weights, name: str, x: Numbers) -> Numbers:
    value, gate = np.split(x @ w[f"{name}.pointwise_cov1.weight"][:, :, 0].T + w[f"{name}.pointwise_cov1.bias"], 2, 1)
    x, kernel = value * _sigmoid(gate), w[f"{name}.depthwise_conv.weight"][:, 0]
    windows = sliding_window_view(np.pad(x, [(kernel.shape[1] // 2,) * 2, (0, 0)]), kernel.shape[1], 0)
    x = (windows * kernel).sum(2) + w[f"{name}.depthwise_conv.bias"]
    x = _swish(_batch_norm(w, f"{name}.norm", x.T).T)
    return x @ w[f"{name}.pointwise_cov2.weight"][:, :, 0].T + w[f"{name}.pointwise_cov2.bias"]


def _gru(w: Weights, name: str, way: str, x: Numbers) -> Numbers:
    """K. Cho et al. (2014) as ``torch.nn.GRU`` has it, one direction: [T, units]."""
    inputs = x @ w[f"{name}.weight_ih_{way}"].T + w[f"{name}.bias_ih_{way}"]
    state, states = np.zeros(inputs.shape[1] // 3), []
    for frame in inputs:
        reset, update, new = np.split(frame, 3)
        by_reset, by_update, by_new = np.split(w[f"{name}.weight_hh_{way}"] @ state + w[f"{name}.bias_hh_{way}"], 3)
        kept = _sigmoid(update + by_update)
        state = (1 - kept) * np.tanh(new + _sigmoid(reset + by_reset) * by_new) + kept * state
        states.append(state)
    return np.stack(states)


def _convolved(x: Numbers, weight: NDArray[Any], step: int) -> Numbers:
    """Frames x [in, T, H, W] by a weight [out, in, t, h, w] without bias, every ``step`` pixels: [out, T, H', W']."""
    kernel = weight.shape[2:]
    padded = np.pad(x, [(0, 0), *((size // 2,) * 2 for size in kernel)])
    windows = sliding_window_view(padded, kernel, (1, 2, 3))[:, :, ::step, ::step]
    return np.tensordot(weight.astype(np.float64), windows, ([1, 2, 3, 4], [0, 4, 5, 6]))


def _pooled(x: Numbers, size: int, pad: int = 0) -> Numbers:
    """The largest of ``size`` x ``size`` pixels, every two pixels."""
    padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], constant_values=-np.inf)
    return np.asarray(sliding_window_view(padded, (size, size), (2, 3))[:, :, ::2, ::2].max((4, 5)))


def _batch_norm(w: Weights, name: str, x: Numbers) -> Numbers:
    """By the statistics of training, over channels, the first axis."""
    mean, variance, scale, shift = (
        w[f"{name}.{one}"].astype(np.float64).reshape(-1, *[1] * (x.ndim - 1))
        for one in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift


def _layer_norm(w: Weights, name: str, x: Numbers, epsilon: float = 1e-12) -> Numbers:
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return np.asarray(centred / deviation * w[f"{name}.weight"] + w[f"{name}.bias"])


def _linear(w: Weights, name: str, x: Numbers) -> Numbers:
    return np.asarray(x @ w[f"{name}.weight"].T.astype(np.float64) + w[f"{name}.bias"])


def _feed_forward(w: Weights, name: str, x: Numbers) -> Numbers:
    return _linear(w, f"{name}.w_2", np.maximum(_linear(w, f"{name}.w_1", x), 0))


def _sinusoids(positions: NDArray[np.int64], width: int) -> Numbers:
    """Sines at even and cosines at odd places; angles in float32, as the networks were trained with these."""
    frequency = np.exp(np.arange(0, width, 2, dtype=np.float32) * np.float32(-np.log(10000.0) / width))
    angles = (positions.astype(np.float32)[:, None] * frequency).astype(np.float64)
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(positions), width)


def _log_softmax(x: Numbers) -> Numbers:
    shifted = x - x.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def _sigmoid(x: Numbers) -> Numbers:
    return 0.5 * (1 + np.tanh(0.5 * x))  # which overflows for no number


def _swish(x: Numbers) -> Numbers:
    return x * _sigmoid(x)
