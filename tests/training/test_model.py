from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from gunileo.errors import GunileoError
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.training.weights import ARCHITECTURES, load_weights, parameters, save_model

SMALL = ModelConfig(channels=(2, 3, 4), hidden=8, normalise=True, words=("bin", "lay"), feature_dropout=0.3)


WIDE = replace(SMALL, shrink=2, self_conditioning=True)


def small(config: ModelConfig = SMALL) -> LabialCNN:
    """A network whose normalisation has statistics of its own, as after training."""
    torch.manual_seed(0)
    model = LabialCNN(config)
    for block in model.convolutions:
        norm = block[1]
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.data.normal_()  # negative ones too: the maximum and a falling function do not commute
        norm.bias.data.normal_()
    return model.eval()


def test_published_layers_and_parameters() -> None:
    model = LabialCNN()
    assert [parameters(block) for block in model.convolutions] == [608, 9_616, 38_432]
    assert parameters(model.classes) == 18_981
    assert model.gru.input_size == 1728
    assert (model.gru.hidden_size, model.gru.num_layers, model.gru.bidirectional) == (256, 2, True)
    assert model.gru.dropout == 0.5
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in model.modules())
    assert model.words is None


def test_shapes_inside_are_the_published_ones() -> None:
    model = LabialCNN().eval()
    x = torch.zeros(1, 1, 75, 100, 150)
    shapes = []
    for block in model.convolutions:
        x = block(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(8, 75, 25, 37), (16, 75, 12, 18), (32, 75, 6, 9)]


def test_relu_after_pooling_is_relu_before_pooling() -> None:
    conv, pool, relu = LabialCNN().convolutions[0]
    x = conv(torch.randn(1, 1, 3, 100, 150))
    assert torch.equal(relu(pool(x).clone()), pool(relu(x.clone())))


@pytest.mark.parametrize("frames", [1, 40, 75, 101])
def test_takes_one_clip_as_the_original_did(frames: int) -> None:
    model = small()
    output = model(torch.randn(1, frames, 100, 150))
    assert output.shape == (frames, 37)


def test_output_is_log_probabilities() -> None:
    output = small()(torch.randn(2, 1, 9, 100, 150))
    assert output.shape == (2, 9, 37)
    assert torch.allclose(output.exp().sum(-1), torch.ones(2, 9), atol=1e-5)
    loss = torch.nn.functional.ctc_loss(output.transpose(0, 1), torch.tensor([[1, 2], [3, 4]]), (9, 9), (2, 2))
    assert loss.item() > 0


@pytest.mark.parametrize("config", [SMALL, WIDE])
def test_padding_changes_nothing(config: ModelConfig) -> None:
    model = small(config)
    clip = torch.randn(1, 1, 12, 100, 150)
    batch = torch.cat([torch.nn.functional.pad(clip, (0, 0, 0, 0, 0, 8)), torch.randn(1, 1, 20, 100, 150)])
    batch[0, :, 12:] = 3  # whatever lies in the padding
    padded = model(batch, torch.tensor([12, 20]))
    assert torch.allclose(padded[0, :12], model(clip)[0], atol=1e-5)
    assert not torch.allclose(model(batch)[0, :12], model(clip)[0], atol=1e-5), "lengths make the difference"


def test_folding_is_exact_and_leaves_the_published_layers() -> None:
    model = small().train()
    folded = model.fold()
    assert model.training, "the original is left as it was"
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in folded.modules())
    assert folded.words is None
    x = torch.randn(2, 1, 15, 100, 150)
    assert torch.allclose(folded(x), model.eval()(x), atol=1e-5)


def test_folding_keeps_words_that_are_fed_back() -> None:
    model = small(WIDE)
    folded = model.fold()
    assert (folded.config.words, folded.config.normalise) == (SMALL.words, False)
    x = torch.randn(2, 1, 15, 100, 150)
    for exact, again in zip(model.heads(x), folded.heads(x), strict=True):
        assert torch.allclose(again, exact, atol=1e-5)


def test_what_is_named_is_heard() -> None:
    """The classes depend on the word head, and the head on nothing that the second GRU does."""
    model = small(WIDE)
    x = torch.randn(1, 1, 9, 100, 150)
    classes, words = model.heads(x)
    model.second.weight_hh_l0.data.normal_()
    assert torch.equal(model.heads(x)[1], words)
    model = small(WIDE)
    model.words.bias.data[1] += 5
    assert not torch.allclose(model.heads(x)[0], classes, atol=1e-3)


def test_shrinking_shows_means_of_pixels() -> None:
    model, x = small(WIDE), torch.randn(1, 1, 4, 50, 75)
    assert torch.allclose(model.shrink(x.repeat_interleave(2, 3).repeat_interleave(2, 4)), x)


def test_the_shipped_layouts() -> None:
    words = tuple(f"word{index}" for index in range(51))
    wide = LabialCNN(replace(ARCHITECTURES["labial-wide"], words=words))
    assert wide.gru.input_size == 64 * 3 * 4
    assert parameters(wide) < 10e6
    assert ARCHITECTURES["labial"] == ModelConfig()
    with pytest.raises(ValueError, match="names none"):
        LabialCNN(ARCHITECTURES["labial-wide"])


@pytest.mark.parametrize("config", [SMALL, WIDE])
def test_weights_carry_their_configuration(config: ModelConfig, tmp_path: Path) -> None:
    model = small(config)
    save_model(model, tmp_path / "a.safetensors", {"note": "kept"})
    again = load_weights(tmp_path / "a.safetensors")
    assert again.config == config
    assert not again.training
    x = torch.randn(1, 1, 6, 100, 150)
    assert torch.equal(again(x), model(x))
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata()["note"] == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_half_weights_are_half_the_size(tmp_path: Path) -> None:
    model = small()
    save_model(model, tmp_path / "full.safetensors")
    save_model(model, tmp_path / "half.safetensors", half=True)
    full, half = (tmp_path / f"{name}.safetensors" for name in ("full", "half"))
    assert half.stat().st_size < 0.6 * full.stat().st_size
    x = torch.randn(1, 1, 6, 100, 150)
    assert torch.allclose(load_weights(half)(x), model(x), atol=1e-2)


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"not weights at all, but long enough"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(GunileoError, match=r"bad\.safetensors.*gunileo train"):
        load_weights(path)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(GunileoError, match=r"none\.safetensors"):
        load_weights(tmp_path / "none.safetensors")


@pytest.mark.parametrize("config", [replace(SMALL, feature_dropout=0.0), replace(WIDE, feature_dropout=0.0)])
def test_training_sees_no_padding(config: ModelConfig) -> None:
    """Losses, gradients and the normalisation's statistics are the same however far and with what clips are padded."""
    learnt = []
    for more in (0, 5):
        model = small(replace(config, dropout=0.0)).train()
        clips = torch.randn(2, 1, 12, 100, 150, generator=torch.Generator().manual_seed(1))
        clips[0, :, 7:] = more
        lengths = torch.tensor([7, 12])
        batch = torch.nn.functional.pad(clips, (0, 0, 0, 0, 0, more), value=3.0)
        classes, words = model.heads(batch, lengths)
        assert classes.shape == (2, 12 + more, 37)
        (classes[0, :7].sum() + classes[1, 3:12, 1].sum() + words[0, 2, 1]).backward()
        learnt.append({**model.state_dict(), **{f"d {name}": p.grad for name, p in model.named_parameters()}})
    for name, value in learnt[0].items():
        torch.testing.assert_close(learnt[1][name], value, msg=name)
