"""The published conformer's layers in plain PyTorch, by their description, for benchmarks/published.py."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gunileo.published.conformer import Settings

_EPSILON = 1e-12


def _norm(size: int) -> nn.LayerNorm:
    return nn.LayerNorm(size, eps=_EPSILON)


def sinusoids(positions: Tensor, size: int) -> Tensor:
    """Of positions [n]: [n, size]."""
    steps = torch.exp(torch.arange(0, size, 2, dtype=torch.float32) * -(math.log(10000.0) / size))
    angles = positions[:, None].float() * steps
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)


class Block(nn.Module):
    """A basic block of the residual network."""

    downsample: Any

    def __init__(self, before: int, out: int) -> None:
        super().__init__()
        step = 1 if before == out else 2
        self.conv1 = nn.Conv2d(before, out, 3, step, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        if step == 2:
            self.downsample = nn.Sequential(nn.Conv2d(before, out, 1, 2, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Any:
        inner = self.bn2(self.conv2(nn.functional.silu(self.bn1(self.conv1(x)))))
        return nn.functional.silu(inner + (self.downsample(x) if hasattr(self, "downsample") else x))


class FrontEnd(nn.Module):
    """Frames to 512 numbers each."""

    def __init__(self) -> None:
        super().__init__()
        first = nn.Conv3d(1, 64, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
        pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.frontend3D = nn.Sequential(first, nn.BatchNorm3d(64), nn.SiLU(), pool)
        sizes = [64, 64, 128, 256, 512]
        self.trunk = nn.ModuleDict(
            {f"layer{n}": nn.Sequential(Block(sizes[n - 1], sizes[n]), Block(sizes[n], sizes[n])) for n in (1, 2, 3, 4)}
        )

    def forward(self, video: Tensor) -> Any:
        x = self.frontend3D(video)[0].transpose(0, 1)
        for layer in self.trunk.values():
            x = layer(x)
        return x.mean((2, 3))


class Attention(nn.Module):
    """Attention, with relative positions if ``relative``."""

    linear_out: Any
    linear_pos: Any

    def __init__(self, size: int, heads: int, relative: bool = False) -> None:
        super().__init__()
        self.heads = heads
        for name in ("linear_q", "linear_k", "linear_v", "linear_out"):
            setattr(self, name, nn.Linear(size, size))
        if relative:
            self.linear_pos = nn.Linear(size, size, bias=False)
            self.pos_bias_u = nn.Parameter(torch.randn(heads, size // heads) / 10)
            self.pos_bias_v = nn.Parameter(torch.randn(heads, size // heads) / 10)

    def _split(self, x: Tensor) -> Any:
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(-3, -2)

    def forward(self, x: Tensor, source: Tensor, positions: Tensor | None = None) -> Any:
        query, keys, values = (
            self._split(getattr(self, f"linear_{one}")(of)) for one, of in (("q", x), ("k", source), ("v", source))
        )
        if positions is None:
            scores = query @ keys.transpose(-2, -1)
        else:
            places = self._split(self.linear_pos(positions))
            by_place = (query + self.pos_bias_v[:, None]) @ places.transpose(-2, -1)
            length = x.shape[0]
            index = torch.arange(length)
            shifted = by_place.gather(-1, (length - 1 - index[:, None] + index).expand(self.heads, -1, -1))
            scores = (query + self.pos_bias_u[:, None]) @ keys.transpose(-2, -1) + shifted
        scores = scores / math.sqrt(query.shape[-1])
        return self.linear_out((scores.softmax(-1) @ values).transpose(-3, -2).flatten(-2))


class FeedForward(nn.Module):
    """Linear, ReLU, linear."""

    def __init__(self, size: int, units: int) -> None:
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(size, units), nn.Linear(units, size)

    def forward(self, x: Tensor) -> Any:
        return self.w_2(self.w_1(x).relu())


class Convolution(nn.Module):
    """The conformer's convolution."""

    def __init__(self, size: int, kernel: int) -> None:
        super().__init__()
        self.pointwise_cov1 = nn.Conv1d(size, 2 * size, 1)
        self.depthwise_conv = nn.Conv1d(size, size, kernel, padding=kernel // 2, groups=size)
        self.norm = nn.BatchNorm1d(size)
        self.pointwise_cov2 = nn.Conv1d(size, size, 1)

    def forward(self, x: Tensor) -> Any:
        gated = nn.functional.glu(self.pointwise_cov1(x.T[None]), 1)
        return self.pointwise_cov2(nn.functional.silu(self.norm(self.depthwise_conv(gated))))[0].T


class EncoderLayer(nn.Module):
    """A conformer block."""

    norm_ff: Any
    norm_mha: Any
    norm_ff_macaron: Any
    norm_conv: Any
    norm_final: Any

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.self_attn = Attention(s.width, s.heads, relative=True)
        self.feed_forward, self.feed_forward_macaron = FeedForward(s.width, s.units), FeedForward(s.width, s.units)
        self.conv_module = Convolution(s.width, s.kernel)
        for name in ("ff", "mha", "ff_macaron", "conv", "final"):
            setattr(self, f"norm_{name}", _norm(s.width))

    def forward(self, x: Tensor, positions: Tensor) -> Any:
        x = x + self.feed_forward_macaron(self.norm_ff_macaron(x)) / 2
        normal = self.norm_mha(x)
        x = x + self.self_attn(normal, normal, positions)
        x = x + self.conv_module(self.norm_conv(x))
        return self.norm_final(x + self.feed_forward(self.norm_ff(x)) / 2)


class DecoderLayer(nn.Module):
    """A block of the decoder."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.self_attn, self.src_attn = Attention(s.width, s.heads), Attention(s.width, s.heads)
        self.feed_forward = FeedForward(s.width, s.decoder_units)
        self.norm1, self.norm2, self.norm3 = _norm(s.width), _norm(s.width), _norm(s.width)

    def forward(self, texts: Tensor, memory: Tensor) -> Any:
        """Of texts [B, t, width], the newest token's output [B, 1, width]; ``memory`` is [B, T, width]."""
        normal = self.norm1(texts)
        x = texts[:, -1:] + self.self_attn(normal[:, -1:], normal)
        x = x + self.src_attn(self.norm2(x), memory)
        return x + self.feed_forward(self.norm3(x))


class Conformer(nn.Module):
    """The published network; its tensors have the published names."""

    encoder: Any
    decoder: Any
    ctc: Any

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self._width, tokens = s.width, len(s.tokens)
        self.encoder, self.decoder, self.ctc = nn.Module(), nn.Module(), nn.Module()
        self.encoder.frontend = FrontEnd()
        self.encoder.embed = nn.Sequential(nn.Linear(512, s.width))
        self.encoder.encoders = nn.ModuleList(EncoderLayer(s) for _ in range(s.layers))
        self.encoder.after_norm, self.decoder.after_norm = _norm(s.width), _norm(s.width)
        self.decoder.embed = nn.Sequential(nn.Embedding(tokens, s.width))
        self.decoder.decoders = nn.ModuleList(DecoderLayer(s) for _ in range(s.decoder_layers))
        self.decoder.output_layer = nn.Linear(s.width, tokens)
        self.ctc.ctc_lo = nn.Linear(s.width, tokens)

    def encode(self, video: Tensor) -> Tensor:
        """Video [1, 1, T, 88, 88] to the encoder's [T, width]."""
        x = self.encoder.embed(self.encoder.frontend(video)) * math.sqrt(self._width)
        positions = sinusoids(torch.arange(len(x) - 1, -len(x), -1), self._width)
        for layer in self.encoder.encoders:
            x = layer(x, positions)
        memory: Tensor = self.encoder.after_norm(x)
        return memory

    def posteriors(self, memory: Tensor) -> Tensor:
        """CTC's log-probabilities [T, tokens]."""
        scores: Tensor = self.ctc.ctc_lo(memory).log_softmax(-1)
        return scores

    def step(self, texts: Tensor, memory: Tensor, kept: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Log-probabilities [B, tokens] of what follows texts [B, t], and each layer's outputs [B, t, width].

        ``kept`` are the outputs [B, t - 1, width] of the step before. As published they are kept, and not the keys and
        values, so those of the text and of the frames are worked out anew for each hypothesis and token.
        """
        places = sinusoids(torch.arange(texts.shape[1]), self._width)
        x = self.decoder.embed(texts) * math.sqrt(self._width) + places
        outputs = []
        for layer, before in zip(self.decoder.decoders, kept, strict=True):
            x = torch.cat([before, layer(x, memory)], 1)
            outputs.append(x)
        return self.decoder.output_layer(self.decoder.after_norm(x[:, -1])).log_softmax(-1), outputs
