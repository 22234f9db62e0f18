"""Bidirectional GRUs for training on processors, where PyTorch's own take nearly twice as long."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def run(gru: nn.GRU, x: Tensor, lengths: Tensor) -> Tensor:
    """What a bidirectional ``batch_first`` GRU makes of padded clips: [N, T, inputs] to [N, T, 2 * hidden].

    The same as PyTorch's on packed sequences but for rounding, with anything at padding. Both directions go step by
    step together, and gradients of weights are summed over all steps at once.
    """
    clips, frames = x.shape[:2]
    steps = torch.arange(frames, device=x.device)
    ends = lengths.to(x.device)[:, None]
    mirrored = torch.where(steps < ends, ends - 1 - steps, steps)
    mirrored = (mirrored + frames * torch.arange(clips, device=x.device)[:, None]).flatten()
    for layer in range(gru.num_layers):
        if layer:
            x = nn.functional.dropout(x, gru.dropout, gru.training)
        weights, recurrent, biases, shifts = (
            [getattr(gru, f"{name}_l{layer}"), getattr(gru, f"{name}_l{layer}_reverse")]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        ahead, back = nn.functional.linear(x, torch.cat(weights), torch.cat(biases)).flatten(0, 1).chunk(2, -1)
        gates = torch.stack([ahead, back.index_select(0, mirrored)]).view(2, clips, frames, -1).permute(2, 0, 1, 3)
        states = _Steps.apply(gates.contiguous(), torch.stack(recurrent), torch.stack(shifts)[:, None])  # type: ignore[no-untyped-call]
        ahead, back = states.permute(1, 2, 0, 3).flatten(1, 2)
        x = torch.cat([ahead, back.index_select(0, mirrored)], -1).view(clips, frames, -1)
    return x


class _Steps(torch.autograd.Function):
    """The steps of two GRUs side by side: gates' inputs [T, 2, N, 3 * hidden] to states [T, 2, N, hidden].

    In the order and the terms of ``torch.nn.GRU``: reset r, update z, new n, and h' = n + z (h - n).
    """

    @staticmethod
    def forward(context: Any, gates: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
        weights, biases = weights.to(gates.dtype), biases.to(gates.dtype)
        hidden = weights.shape[2]
        state, turned = gates.new_zeros(*gates.shape[1:3], hidden), weights.transpose(1, 2).contiguous()
        steps = []
        for gate in gates:
            projected = torch.baddbmm(biases, state, turned)
            both = (gate[..., : 2 * hidden] + projected[..., : 2 * hidden]).sigmoid_()
            reset, update = both.chunk(2, -1)
            new = torch.addcmul(gate[..., 2 * hidden :], reset, projected[..., 2 * hidden :]).tanh_()
            state = torch.lerp(new, state, update)
            steps.append((both, projected[..., 2 * hidden :], new, state))
        both, projected, new, states = (torch.stack(each) for each in zip(*steps, strict=True))
        context.save_for_backward(both, projected, new, states, weights)
        return states

    @staticmethod
    def backward(context: Any, gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        both, projected, new, states, weights = context.saved_tensors
        reset, update = both.chunk(2, -1)
        before = torch.cat([torch.zeros_like(states[:1]), states[:-1]])
        # How each gate moves with its step's state; that of the new state is last, by way of the inputs and of before.
        to_new = (1 - update) * (1 - new * new)
        slopes = [to_new * projected * reset * (1 - reset), (before - new) * update * (1 - update), to_new * reset]
        by = torch.stack(slopes, 3)
        own, carried = [], torch.zeros_like(states[0])
        for gradient, slope, kept in zip(gradients.flip(0), by.flip(0), update.flip(0), strict=True):
            own.append(carried + gradient)
            moved = (own[-1][:, :, None] * slope).flatten(2)
            carried = torch.baddbmm(own[-1] * kept, moved, weights)
        total = torch.stack(own[::-1])
        moved = (total[:, :, :, None] * by).flatten(3)
        inputs = torch.cat([moved[..., : 2 * weights.shape[2]], total * to_new], -1)
        moved = moved.transpose(0, 1).flatten(1, 2)
        recurrent = moved.transpose(1, 2) @ before.transpose(0, 1).flatten(1, 2)
        return inputs, recurrent.float(), moved.sum(1, keepdim=True, dtype=torch.float32)
