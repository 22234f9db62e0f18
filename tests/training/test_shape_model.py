"""LabialShape reads crops, shapes or both; padding, saving, folding and exporting change nothing of that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from mouths import noise
from networks import as_trained
from torch import Tensor, nn

from gunileo.corpus.grid import CLASSES
from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.inference.registry import weights_of
from gunileo.training.config import from_scratch
from gunileo.training.dataset import Batch
from gunileo.training.export import export_onnx, rounded
from gunileo.training.fine_tune import settings_from
from gunileo.training.initialise import initialise, initialise_shapes, network
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.training.pace import pace
from gunileo.training.shape_model import LabialShape, ShapeConfig
from gunileo.training.weights import ARCHITECTURES, heads, load_weights, save_model
from gunileo.vision.crop import normalise
from gunileo.vision.mouth_shape import FEATURES

WORDS = ("bin", "blue", "lay")
SMALL = ShapeConfig(
    channels=(2, 3, 4),
    width=12,
    before=(1, 2),
    after=(1,),
    crop_dropout=0.2,
    normalise=True,
    words=WORDS,
    sentence=1.7,
)


def trained_looking(config: ShapeConfig = SMALL) -> LabialShape:
    torch.manual_seed(0)
    model = as_trained(LabialShape(config))
    nn.init.normal_(model.missing)
    return model


def given(clips: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random crops and shapes."""
    random = torch.Generator().manual_seed(seed)
    return (
        torch.randn(clips, 1, frames, 100, 150, generator=random),
        torch.randn(clips, frames, FEATURES, generator=random),
    )


@pytest.fixture(scope="module")
def model() -> LabialShape:
    return trained_looking()


def test_sizes_and_probabilities(model: LabialShape) -> None:
    crops, shape = given(2, 9)
    classes, words = model.heads(crops, None, shape)
    assert (classes.shape, words.shape) == ((2, 9, len(CLASSES)), (2, 9, 1 + len(WORDS)))
    assert torch.allclose(classes.exp().sum(-1), torch.ones(2, 9), atol=1e-5)
    assert torch.equal(model(crops, None, shape), classes)
    with pytest.raises(ValueError, match="needs words"):
        LabialShape(replace(SMALL, words=()))


@pytest.mark.parametrize("with_crops", [True, False])
def test_padding_changes_nothing(model: LabialShape, with_crops: bool) -> None:
    crops, shape = given(2, 20)
    crops[0, :, 12:], shape[0, 12:] = 3, 5  # whatever lies in the padding
    batch = model(crops if with_crops else None, torch.tensor([12, 20]), shape)
    for clip, length in ((0, 12), (1, 20)):
        own = crops[clip : clip + 1, :, :length] if with_crops else None
        alone = model(own, None, shape[clip : clip + 1, :length])
        torch.testing.assert_close(batch[clip, :length], alone[0], atol=1e-5, rtol=1e-4)
    unpadded = model(crops if with_crops else None, None, shape)
    assert not torch.allclose(unpadded[0, :12], batch[0, :12], atol=1e-4), "lengths make the difference"


def test_training_takes_nothing_from_padding() -> None:
    """But for the statistics of batch normalisation over time, gradients at padding are none."""
    model = trained_looking()
    crops, shape = given(2, 16)
    shape.requires_grad_()
    model(crops, torch.tensor([10, 16]), shape)[0, :10].sum().backward()
    assert shape.grad is not None
    assert shape.grad[0, :10].abs().sum() > 0
    assert not shape.grad[0, 10:].any()
    assert not shape.grad[1].any(), "nor from another clip"


def test_what_is_missing_is_not_read(model: LabialShape) -> None:
    crops, shape = given(4, 15)
    seen = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    read = model(crops, None, shape, seen)
    other_crops, other_shape = given(4, 15, seed=1)
    torch.testing.assert_close(model(other_crops, None, shape, seen)[[1, 3]], read[[1, 3]])
    torch.testing.assert_close(model(crops, None, other_shape, seen)[[2, 3]], read[[2, 3]])
    assert not torch.allclose(model(other_crops, None, shape, seen)[0], read[0], atol=1e-3), "what is there is"
    assert not torch.allclose(model(crops, None, other_shape, seen)[0], read[0], atol=1e-3)
    # Clips without crops are read alike with no crops at all, and by default both are seen where they are given.
    torch.testing.assert_close(model(None, None, shape)[1], read[1])
    torch.testing.assert_close(model(crops, None, shape)[0], read[0])


def test_a_batch_is_read_by_what_it_has(model: LabialShape) -> None:
    crops, shape = given(2, 11)
    rest = (torch.zeros(0), torch.zeros(0), torch.zeros(0), ("", ""))
    batch = Batch(crops, None, torch.tensor([8, 11]), shape, torch.tensor([[1.0, 0.0], [1.0, 1.0]]), *rest)
    for one, other in zip(heads(model, batch), model.heads(crops, batch.lengths, shape, batch.seen), strict=True):
        assert torch.equal(one, other)
    alone = batch._replace(crops=None, seen=torch.tensor([[0.0, 1.0]] * 2))
    assert torch.equal(heads(model, alone)[0], model(None, batch.lengths, shape))
    torch.manual_seed(0)
    published = LabialCNN(ModelConfig(channels=(2, 3, 4), hidden=8)).eval()
    assert heads(published, batch)[0].shape == (2, 11, len(CLASSES))
    with pytest.raises(ValueError, match="takes crops, and the batch has none"):
        heads(published, alone)


def test_what_is_named_is_heard() -> None:
    """The classes depend on the word head, and the head on nothing behind it."""
    model, (crops, shape) = trained_looking(), given(1, 9)
    classes, words = model.heads(crops, None, shape)
    nn.init.normal_(model.after[0].first.weight)
    assert torch.equal(model.heads(crops, None, shape)[1], words)
    model = trained_looking()
    model.words.bias.data[1] += 5
    assert not torch.allclose(model(crops, None, shape), classes, atol=1e-3)


def test_folding_is_exact() -> None:
    model, (crops, shape) = trained_looking().train(), given(2, 13)
    folded = model.fold()
    assert model.training, "the original is left as it was"
    assert not folded.training
    assert not any(isinstance(module, nn.BatchNorm3d) for module in folded.modules())
    assert folded.config == replace(SMALL, normalise=False)
    for exact, again in zip(model.eval().heads(crops, None, shape), folded.heads(crops, None, shape), strict=True):
        torch.testing.assert_close(again, exact, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("half", [False, True])
def test_weights_there_and_back(model: LabialShape, tmp_path: Path, half: bool) -> None:
    save_model(model, tmp_path / "a.safetensors", {"note": "kept"}, half)
    again = load_weights(tmp_path / "a.safetensors")
    assert isinstance(again, LabialShape)
    assert (again.config, again.training) == (SMALL, False)
    crops, shape = given(2, 8)
    torch.testing.assert_close(again(crops, None, shape), model(crops, None, shape), atol=0.05 if half else 0, rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.fixture(scope="module")
def onnx_file(model: LabialShape, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "small.onnx"
    export_onnx(model, path)
    return path


@pytest.mark.parametrize(("clips", "frames"), [(1, 75), (3, 75), (1, 1), (1, 40), (3, 23)])
def test_onnx_equals_pytorch(model: LabialShape, onnx_file: Path, clips: int, frames: int) -> None:
    crops, shape = given(clips, frames, seed=2)
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["regions", "shape"]
    assert [one.name for one in session.get_outputs()] == ["log_probabilities", "features", "words"]
    output, features, words = session.run(None, {"regions": crops.numpy(), "shape": shape.numpy()})
    shipped = rounded(model)
    with torch.no_grad():
        exact = shipped.views(shipped.visual(crops), shape)
        original = model.views(model.visual(crops), shape).log_probabilities
    assert exact.words is not None
    is_slow = bool((torch.diff(pace(exact.words, SMALL.sentence).source) > 1.1).all())
    assert is_slow == (frames == 75) or frames == 1
    np.testing.assert_allclose(output, exact.log_probabilities.numpy(), atol=1e-4)
    np.testing.assert_allclose(features, exact.features.numpy(), atol=1e-4)
    np.testing.assert_allclose(words, exact.words.log_softmax(-1).numpy(), atol=1e-4)
    np.testing.assert_allclose(output, original.numpy(), atol=0.05)  # what rounding to float16 may cost
    metadata = session.get_modelmeta().custom_metadata_map
    config = json.loads(metadata["config"])
    assert (config["architecture"], config["words"]) == ("labial-shape", list(WORDS))


def test_a_reader_hears_crops_and_shape(model: LabialShape, onnx_file: Path) -> None:
    reader, clip = load_model(onnx_file), noise(30)
    assert reader.shapes
    assert reader.words == WORDS
    logp, named = reader.predict(clip)
    with torch.no_grad():
        crops, shape = torch.from_numpy(normalise(clip.crops))[None, None], torch.from_numpy(clip.shape())[None]
        shipped = rounded(model)
        expected, words = shipped.heads(crops, None, shape)
        alone, _ = shipped.heads(None, None, shape)
    mean = ((expected + alone) / 2)[0].log_softmax(-1)
    np.testing.assert_allclose(logp, mean.numpy(), atol=1e-3)
    np.testing.assert_allclose(named, words[0].log_softmax(-1).numpy(), atol=1e-3)
    assert reader.features(clip).shape == (30, SMALL.width)
    assert reader.transcribe_clip(clip, "x.mp4", "greedy").file == "x.mp4"


def test_the_shipped_eyes_become_its_eyes() -> None:
    config = replace(ARCHITECTURES["labial-shape"], normalise=False, words=WORDS)
    assert isinstance(config, ShapeConfig)
    wide = load_weights(weights_of("labial-wide"))
    model = initialise_shapes(str(weights_of("labial-wide")), config).eval()
    crops = given(1, 6)[0]
    with torch.no_grad():
        torch.testing.assert_close(model.visual(crops), wide.visual(crops))
    with pytest.raises(GunileoError, match="its convolutions have other sizes"):
        initialise_shapes(str(weights_of("labial")), config)


def test_a_run_begins_from_another_ones_weights(model: LabialShape, tmp_path: Path) -> None:
    save_model(model, tmp_path / "a.safetensors")
    begun = initialise_shapes(str(tmp_path / "a.safetensors"), replace(SMALL, normalise=False, words=("bin",))).eval()
    assert begun.config == SMALL, "its words and its normalisation stay"
    crops, shape = given(1, 7)
    assert torch.equal(begun(crops, None, shape), model(crops, None, shape))
    other = initialise_shapes(str(tmp_path / "a.safetensors"), replace(SMALL, words=("stop", "go")))
    assert other.config.words == ("stop", "go")
    state, own = other.state_dict(), model.state_dict()
    fresh = ("words.", "back.")
    assert all(torch.equal(state[name], own[name]) for name in own if not name.startswith(fresh))
    with pytest.raises(GunileoError, match="takes shapes, and this run's architecture doesn't"):
        initialise(str(tmp_path / "a.safetensors"), ModelConfig(channels=(2, 3, 4), shrink=2))


def test_settings_from_scratch_make_the_shipped_architecture() -> None:
    settings = from_scratch(ARCHITECTURES["labial-shape"])
    made = network(settings, WORDS)
    assert isinstance(made, LabialShape)
    assert replace(made.config, normalise=False) == replace(ShapeConfig(), words=WORDS)
    assert made.config.normalise, "from scratch its eyes learn with normalisation, as LabialCNN's"


def test_a_run_is_gone_on_with_by_its_second_stage_and_that_by_its_third(model: LabialShape, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model.safetensors")
    settings = tmp_path / "settings.json"
    for before, epochs, repeats in ((None, 6, 8), (False, 6, 8), (True, 20, 3)):
        if before is not None:
            settings.write_text(json.dumps({"frozen": before}))
        further = settings_from(tmp_path)
        assert further.frozen
        assert (further.epochs, further.crop_repeats) == (epochs, repeats)
