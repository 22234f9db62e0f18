"""The ONNX graphs against numbers that the published code printed with the same weights."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from published_models import LANGUAGE, SETTINGS, VIDEO, made_up, reference

from gunileo.published.conformer import encoder_graph, source_graph
from gunileo.published.decoder import decoder_graph, language_graph
from gunileo.published.graph import Graph
from gunileo.published.lipnet import lipnet_graph
from gunileo.published.weights import Tensors


def run(graph: Graph, path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    graph.write(path, {"kind": "test"})
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs), strict=True))


def near(found: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-4 of the largest number: float rounding."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def steps(graph: Graph, path: Path, tokens: list[int], state: dict[str, np.ndarray], **fixed: np.ndarray) -> np.ndarray:
    """Log-probabilities [1, V] after tokens that are given one at a time."""
    graph.write(path, {})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    for token in tokens:
        inputs = {"tokens": np.array([token]), "parents": np.array([0]), **state, **fixed}
        outputs = dict(zip(names, session.run(None, inputs), strict=True))
        state = {name: outputs[f"next_{name}"] for name in state}
    return outputs["log_probabilities"]


@pytest.mark.parametrize("name", SETTINGS)
def test_front_end_encoder_ctc_and_decoder(name: str, tmp_path: Path) -> None:
    expected, settings = reference("conformer", "expected.npz"), SETTINGS[name]
    weights = Tensors(made_up(reference("conformer", "expected.json")["names"][name]), name)
    outputs = run(encoder_graph(weights, settings), tmp_path / "encoder.onnx", {"regions": VIDEO[None]})
    near(outputs["frontend"][0], expected[f"{name}/frontend"])
    near(outputs["features"][0], expected[f"{name}/encoder"])
    near(outputs["log_probabilities"][0], expected[f"{name}/ctc"])
    shape = (settings.decoder_layers, 1, settings.heads, 0, settings.width // settings.heads)
    state = {"keys": np.zeros(shape, np.float32), "values": np.zeros(shape, np.float32)}
    source = run(source_graph(weights, settings), tmp_path / "source.onnx", {"features": outputs["features"][0]})
    graph = decoder_graph(weights, settings)
    near(steps(graph, tmp_path / "decoder.onnx", [40, 5, 7, 9, 3], state, **source), expected[f"{name}/decoder_next"])
    weights.done()


@pytest.mark.parametrize("kind", LANGUAGE)
def test_language_models(kind: str, tmp_path: Path) -> None:
    settings = LANGUAGE[kind]
    weights = Tensors(made_up(reference("conformer", "expected.json")["names"]["lm"]), "lm")
    graph = language_graph(weights, settings)
    weights.done()
    shape = (settings.layers, 1, settings.heads, 0, settings.width // settings.heads)
    state = {"keys": np.zeros(shape, np.float32), "values": np.zeros(shape, np.float32)}
    state["hidden"] = np.zeros((1, 0), np.float32)
    found = steps(graph, tmp_path / "lm.onnx", [40, 5, 7, 9, 3], state)
    near(found, reference("conformer", "expected.npz")[f"lm_{kind}/logp"])


def test_lipnet(tmp_path: Path) -> None:
    weights = Tensors(made_up(reference("lipnet", "expected.json")["names"]), "lipnet")
    graph = lipnet_graph(weights)
    weights.done()
    video = np.random.default_rng(7).random((1, 3, 30, 64, 128)).astype(np.float32)
    outputs = run(graph, tmp_path / "lipnet.onnx", {"regions": video})
    near(outputs["log_probabilities"][0], reference("lipnet", "expected.npz")["lipnet/log_probabilities"])
    assert outputs["features"].shape == (1, 30, 512)
