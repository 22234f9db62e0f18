"""The exported ONNX file computes what the PyTorch model does, for any number of clips and frames."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import as_trained

from gunileo.corpus.grid import CLASSES
from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.inference.registry import weights_of
from gunileo.training import export
from gunileo.training.export import export_model, export_onnx, rounded
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.training.shape_model import LabialShape, ShapeConfig
from gunileo.training.weights import load_weights, parameters
from gunileo.util.files import FileError
from gunileo.vision.crop import normalise
from gunileo.vision.mouth import read_mouth

TRAINED = ModelConfig(channels=(4, 6, 8), hidden=24, normalise=True, words=("bin", "blue"))
WIDE = replace(TRAINED, shrink=2, self_conditioning=True)


def trained_looking(config: ModelConfig) -> LabialCNN:
    torch.manual_seed(0)
    return as_trained(LabialCNN(config))


@pytest.fixture(scope="module", params=[TRAINED, WIDE], ids=["published", "wide"])
def model(request: pytest.FixtureRequest) -> LabialCNN:
    return trained_looking(request.param)


@pytest.fixture(scope="module")
def onnx_file(model: LabialCNN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "tiny.onnx"
    export_onnx(model, path, license="CC0")
    return path


@pytest.mark.parametrize(("clips", "frames"), [(1, 75), (1, 1), (1, 40), (3, 23), (5, 7)])
def test_same_output_as_pytorch(model: LabialCNN, onnx_file: Path, clips: int, frames: int) -> None:
    crops = torch.randn(clips, 1, frames, 100, 150, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    output, *others = session.run(None, {"regions": crops.numpy()})
    with torch.no_grad():
        exact, original = rounded(model)(crops), model(crops)
        expected = rounded(model).recur(rounded(model).visual(crops))
    assert [one.name for one in session.get_outputs()][1:] == ["features", "words"][: len(others)]
    np.testing.assert_allclose(others[0], expected.features.numpy(), atol=1e-4)
    assert (len(others) == 2) == (expected.words is not None) == model.config.self_conditioning
    if expected.words is not None:
        np.testing.assert_allclose(others[1], expected.words.log_softmax(-1).numpy(), atol=1e-4)
    assert output.shape == (clips, frames, len(CLASSES))
    np.testing.assert_allclose(output, exact.numpy(), atol=1e-4)
    np.testing.assert_allclose(output, original.numpy(), atol=0.05)  # what rounding to float16 may cost
    assert np.exp(output).sum(axis=2) == pytest.approx(np.ones((clips, frames)), abs=1e-5)


def test_published_layers_and_half_the_size(onnx_file: Path, model: LabialCNN) -> None:
    network = onnx.load(onnx_file)
    kinds = [node.op_type for node in network.graph.node]
    assert kinds.count("Conv") == 3
    assert kinds.count("GRU") == 2
    assert "BatchNormalization" not in kinds
    count = parameters(rounded(model))
    assert 2 * count <= onnx_file.stat().st_size < 2.1 * count + 40_000


def test_normalisation_over_time_costs_no_float32_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LabialShape(ShapeConfig(channels=(4, 6, 8), width=64, words=("bin", "blue")))
    export_onnx(model, tmp_path / "shape.onnx")
    count = parameters(rounded(model))
    assert 2 * count <= (tmp_path / "shape.onnx").stat().st_size < 2.1 * count + 60_000


def test_metadata(onnx_file: Path) -> None:
    metadata = onnxruntime.InferenceSession(onnx_file).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["gunileo_classes"]) == list(CLASSES)
    assert {key: metadata[key] for key in ("fps", "height", "width", "normalisation", "name", "license")} == {
        "fps": "25",
        "height": "100",
        "width": "150",
        "normalisation": "clip",
        "name": "tiny",
        "license": "CC0",
    }
    config = json.loads(metadata["config"])
    assert config["channels"] == [4, 6, 8]
    assert config["normalise"] is False


def test_export_leaves_the_model_alone_and_no_other_file(model: LabialCNN, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    export_onnx(model, tmp_path / "a.onnx")
    assert all(module.training for module in model.modules())
    model.eval()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_failed_export_leaves_nothing(model: LabialCNN, tmp_path: Path) -> None:
    (tmp_path / "taken.onnx").mkdir()
    with pytest.raises(FileError, match=r"taken\.onnx"):
        export_onnx(model, tmp_path / "taken.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.onnx"]


def test_published_configuration_exports(tmp_path: Path) -> None:
    model = trained_looking(ModelConfig())
    export_onnx(model, tmp_path / "labial.onnx")
    crops = torch.randn(1, 1, 30, 100, 150)
    session = onnxruntime.InferenceSession(tmp_path / "labial.onnx")
    with torch.no_grad():
        np.testing.assert_allclose(session.run(None, {"regions": crops.numpy()})[0], rounded(model)(crops), atol=1e-4)


def test_a_shipped_model_exports_with_its_card_and_what_reading_needs(tmp_path: Path) -> None:
    path = tmp_path / "out.onnx"
    assert export_model("labial-wide", path) < 1e-3
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert metadata["name"] == "labial-wide"
    assert "GRID speaker s1" in metadata["trained_on"]
    assert "CC BY 4.0" in metadata["attribution"]
    shipped, exported = load_model("labial-wide"), load_model(path)
    assert exported.calibrations == shipped.calibrations
    assert exported.timing == shipped.timing


def test_a_real_clip_reads_the_same_in_pytorch_and_by_the_example_in_the_docs(shared: Path, tmp_path: Path) -> None:
    clip = read_mouth(shared / "grid" / "s1" / "bbaf2n.mpg")
    export_model("labial-wide", tmp_path / "labial-wide.onnx")
    np.save(tmp_path / "crops.npy", clip.crops)
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    cut, code = (part.split("```")[0] for part in page.split("```python\n")[1:3])
    assert 'np.save("crops.npy", gunileo.read_mouth("clip.mp4").crops)' in cut
    assert "gunileo" not in code.replace("gunileo_classes", "")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "bin blue at f two now\n"
    network = load_weights(weights_of("labial-wide"))
    with torch.no_grad():
        exact = network(torch.from_numpy(normalise(clip.crops))[None]).numpy()
    np.testing.assert_allclose(load_model(tmp_path / "labial-wide.onnx").log_probabilities(clip), exact, atol=1e-3)


@pytest.mark.parametrize("difference", [0.1, float("nan")])
def test_what_differs_from_pytorch_is_not_written(
    difference: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_difference", lambda *_: difference)
    (tmp_path / "out.onnx").write_bytes(b"mine")
    with pytest.raises(GunileoError, match="differs from PyTorch's output"):
        export_model("labial-wide", tmp_path / "out.onnx")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_the_command_writes_a_file_and_tells_the_difference(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    output = tmp_path / "wide.onnx"
    code, out, err = run("export", "labial-wide", "-o", output)
    assert (code, err) == (0, "")
    told = re.fullmatch(r"(.*): ([\d.]+) MB, differs from PyTorch by (\S+) at most\n", out)
    assert told
    assert (told[1], float(told[2])) == (str(output), pytest.approx(output.stat().st_size / 1e6, abs=0.06))
    assert float(told[3]) < 1e-3
    assert load_model(str(output)).name == str(output)
