"""ONNX files with a mistake in them are refused, and right ones pass, whatever the batch normalisation's variances."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import published_torch
import pytest
import torch
from onnx import numpy_helper
from published_models import LANGUAGE, SETTINGS, made_up, reference

from gunileo.published.check import check_conformer, check_language_model, check_lipnet
from gunileo.published.convert import write_language_model, write_lipnet, write_model
from gunileo.published.errors import ImportFault
from gunileo.published.weights import Tensors

Change = Callable[[onnx.GraphProto], None]
Weights = dict[str, np.ndarray]
CONFORMER = SETTINGS["swish_latest"]


def random_weights(variances: float = 0) -> Weights:
    """Of a small conformer; its batch normalisations' variances lie from 10^-variances to 10^variances."""
    torch.manual_seed(0)
    weights = {name: one.numpy() for name, one in published_torch.Conformer(CONFORMER).state_dict().items()}
    random = np.random.default_rng(0)
    for name, one in weights.items():
        if name.endswith("running_var"):
            weights[name] = (10 ** random.uniform(-variances, variances, len(one))).astype(np.float32)
            mean = random.standard_normal(len(one)) * np.sqrt(weights[name])
            weights[name.replace("running_var", "running_mean")] = mean.astype(np.float32)
    return weights


@pytest.fixture(scope="module")
def weights() -> Weights:
    return random_weights()


@pytest.fixture
def folder(tmp_path: Path, weights: Weights) -> Path:
    write_model(tmp_path, Tensors(weights, "model.pth"), CONFORMER, {})
    return tmp_path


@pytest.mark.parametrize("variances", [1, 2, 4])
def test_right_files_pass_whatever_the_variances(variances: float, tmp_path: Path) -> None:
    write_model(tmp_path, Tensors(random_weights(variances), "model.pth"), CONFORMER, {})


def altered(path: Path, change: Change) -> None:
    model = onnx.load(path)
    change(model.graph)
    onnx.save(model, path)


def one_weight(shape: tuple[int, ...]) -> Change:
    """One number more in the first matrix of this shape."""

    def change(graph: onnx.GraphProto) -> None:
        matrix = next(one for one in graph.initializer if tuple(one.dims) == shape)
        values = numpy_helper.to_array(matrix).copy()
        values.flat[5] += 2
        matrix.CopyFrom(numpy_helper.from_array(values, matrix.name))

    return change


def swapped(shape: tuple[int, ...]) -> Change:
    """The first matrix of this shape in place of the last, and the other way round."""

    def change(graph: onnx.GraphProto) -> None:
        same = [one for one in graph.initializer if tuple(one.dims) == shape]
        same[0].name, same[-1].name = same[-1].name, same[0].name

    return change


def other_way_round(graph: onnx.GraphProto) -> None:
    """Values are kept as keys, and keys as values: the first token isn't changed by that."""
    first, second = (next(n for n in graph.node if n.output[0] == f"next_{one}") for one in ("keys", "values"))
    first.input[0], second.input[0] = second.input[0], first.input[0]


@pytest.mark.parametrize(
    ("file", "change", "part"),
    [
        ("model.onnx", one_weight((64, 5, 7, 7)), "front end"),
        ("model.onnx", swapped((64, 64, 3, 3)), "front end"),
        ("model.onnx", swapped((32, 1, 31)), "encoder"),
        ("model.onnx", swapped((32, 64)), "encoder"),
        ("model.onnx", one_weight((32, 41)), "CTC layer"),
        ("source.onnx", swapped((32, 32)), "decoder"),
        ("decoder.onnx", swapped((64, 32)), "decoder"),
        ("decoder.onnx", one_weight((41, 32)), "decoder"),
        ("decoder.onnx", other_way_round, "decoder"),
    ],
)
def test_a_mistake_in_a_file_is_refused(file: str, change: Change, part: str, folder: Path, weights: Weights) -> None:
    check_conformer(folder, Tensors(weights, "model.pth"), CONFORMER)
    altered(folder / file, change)
    with pytest.raises(ImportFault, match=rf"^model.pth: its {part} as ONNX is off by \de.* report it") as error:
        check_conformer(folder, Tensors(weights, "model.pth"), CONFORMER)
    assert "\n" not in str(error.value)


def test_a_language_model_with_other_positions_is_refused(tmp_path: Path) -> None:
    tensors = Tensors(made_up(reference("conformer", "expected.json")["names"]["lm"]), "lm.pth")
    for kind, other in (("none", "sinusoidal"), ("sinusoidal", "none")):
        write_language_model(tmp_path, tensors, LANGUAGE[kind])
        with pytest.raises(ImportFault, match=r"lm.pth: its language model as ONNX is off by"):
            check_language_model(tmp_path, tensors, LANGUAGE[other])


def test_a_lipnet_with_a_gate_too_many_is_refused(tmp_path: Path) -> None:
    tensors = Tensors(made_up(reference("lipnet", "expected.json")["names"]), "LipNet.pt")
    write_lipnet(tmp_path, tensors, {})
    altered(tmp_path / "model.onnx", one_weight((2, 768, 256)))
    with pytest.raises(ImportFault, match=r"LipNet.pt: its GRU as ONNX is off by"):
        check_lipnet(tmp_path, tensors)


def test_broken_statistics_are_refused(tmp_path: Path, weights: Weights) -> None:
    name = "encoder.frontend.frontend3D.1"
    for part, value, message in (
        ("running_var", np.float32(-1), f"{name}.running_var holds a variance below 0; the file is damaged"),
        ("weight", np.float32(1e38), "its front end answers no numbers; its weights are broken, download it again"),
    ):
        broken = {**weights, f"{name}.{part}": np.full(64, value)}
        with pytest.raises(ImportFault, match=message):
            write_model(tmp_path, Tensors(broken, "model.pth"), CONFORMER, {})
