"""A published model's weights to the ONNX files of an imported model, each run once before it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gunileo.published.conformer import Settings, encoder_graph, source_graph
from gunileo.published.decoder import LanguageSettings, decoder_graph, language_graph
from gunileo.published.errors import ImportFault
from gunileo.published.lipnet import HEIGHT, TOKENS, WIDTH, lipnet_graph
from gunileo.published.residual import SIDE
from gunileo.published.search import DECODER, LANGUAGE, SOURCE, Steps, session_of
from gunileo.published.weights import Tensors

MODEL = "model.onnx"
_FRAMES = 12  # of the clip that a new file is tried with
_TOLERANCE = 1e-3  # of probabilities that sum to one


def write_model(folder: Path, w: Tensors, settings: Settings, metadata: Mapping[str, str]) -> None:
    """Write a conformer's encoder and decoder, and try them; ``ImportFault`` if a tensor is missing or left over, or
    what they answer is no probability."""
    told = {"tokens": json.dumps(settings.tokens), "input": "mean-face-88", "decoder": "ctc-attention", **metadata}
    encoder_graph(w, settings).write(folder / MODEL, told)
    source_graph(w, settings).write(folder / SOURCE, {})
    graph = decoder_graph(w, settings)
    w.done()
    graph.write(folder / DECODER, _state(settings.decoder_layers, settings.heads, settings.width))
    video = np.random.default_rng(0).standard_normal((1, 1, _FRAMES, SIDE, SIDE)).astype(np.float32)
    features = _tried(folder / MODEL, w.source, video)
    keys = ["source_keys", "source_values"]
    source = dict(zip(keys, session_of(folder / SOURCE).run(keys, {"features": features}), strict=True))
    _try_steps(Steps(session_of(folder / DECODER)), w.source, source, len(settings.tokens))


def write_language_model(folder: Path, w: Tensors, settings: LanguageSettings) -> None:
    """Write a language model and try it; raises as ``write_model``."""
    graph = language_graph(w, settings)
    w.done()
    graph.write(folder / LANGUAGE, _state(settings.layers, settings.heads, settings.width))
    _try_steps(Steps(session_of(folder / LANGUAGE)), w.source, {}, settings.tokens)


def write_lipnet(folder: Path, w: Tensors, metadata: Mapping[str, str]) -> None:
    """Write a LipNet and try it; raises as ``write_model``."""
    graph = lipnet_graph(w)
    w.done()
    told = {"tokens": json.dumps(TOKENS), "input": "lipnet-64x128", "decoder": "ctc", **metadata}
    graph.write(folder / MODEL, told)
    video = np.random.default_rng(0).random((1, 3, _FRAMES, HEIGHT, WIDTH)).astype(np.float32)
    _tried(folder / MODEL, w.source, video)


def _state(layers: int, heads: int, width: int) -> dict[str, str]:
    return {"state": json.dumps({"layers": layers, "heads": heads, "each": width // heads})}


def _tried(path: Path, source: str, video: np.ndarray) -> np.ndarray:
    """The features of a clip, whose probabilities were checked."""
    logp, features = session_of(path).run(["log_probabilities", "features"], {"regions": video})
    _check(logp[0], source)
    return np.asarray(features[0], np.float32)


def _try_steps(steps: Steps, source: str, beside: dict[str, np.ndarray], tokens: int) -> None:
    """Two steps from the start token on."""
    state, one = steps.begin(), np.zeros(1, np.int64)
    for token in (tokens - 1, 1):
        logp, state = steps(np.array([token]), one, state, beside)
        _check(logp, source)


def _check(logp: np.ndarray, source: str) -> None:
    sums = np.exp(np.asarray(logp, np.float64)).sum(-1)
    if not np.abs(sums - 1).max() <= _TOLERANCE:  # nor if it is no number
        raise ImportFault(f"{source}: its network answers no probabilities; its weights are broken, download it again")
