"""Training's own GRU and batch normalisation, beside PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gunileo.training import recurrent
from gunileo.training.parallel import BatchNorm


@pytest.mark.parametrize("layers", [1, 2])
def test_a_gru_is_pytorchs_and_so_are_its_gradients(layers: int) -> None:
    torch.manual_seed(0)
    gru = nn.GRU(7, 5, layers, batch_first=True, bidirectional=True)
    x, lengths = torch.randn(4, 9, 7), torch.tensor([4, 9, 1, 6])
    within = (torch.arange(9) < lengths[:, None])[..., None]
    pull = torch.randn(4, 9, 10) * within

    def packed(x: Tensor) -> Tensor:
        return pad_packed_sequence(gru(pack_padded_sequence(x, lengths, True, False))[0], True)[0]

    def learnt(run: object) -> list[Tensor]:
        own = x.clone().requires_grad_()
        gru.zero_grad()
        y = run(own) * within  # type: ignore[operator]
        y.backward(pull)
        return [y.detach(), own.grad, *(parameter.grad for parameter in gru.parameters())]

    for ours, theirs in zip(learnt(lambda x: recurrent.run(gru, x, lengths)), learnt(packed), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_normalisation_is_pytorchs_over_the_frames_that_are_in_a_clip() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3), nn.BatchNorm3d(3)
    for norm in (ours, theirs):
        norm.weight.data, norm.bias.data = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.1, 0.2, 0.3])
    mask = torch.arange(9) % 4 != 3
    x = (2 * torch.randn(1, 3, 9, 4, 5) + 1).requires_grad_()
    y = ours(x, mask)
    pull = torch.randn_like(y) * mask[:, None, None]
    y.backward(pull)
    gradient, x.grad = x.grad, None
    expected = theirs(x[:, :, mask])
    expected.backward(pull[:, :, mask])
    torch.testing.assert_close(y[:, :, mask], expected)
    torch.testing.assert_close(gradient, x.grad)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, atol=1e-4, rtol=1e-4)
