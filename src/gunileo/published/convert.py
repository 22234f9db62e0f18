"""A published model's weights to the ONNX files of an imported model, which are compared with the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gunileo.published.check import check_conformer, check_language_model, check_lipnet
from gunileo.published.conformer import Settings, encoder_graph, source_graph
from gunileo.published.decoder import LanguageSettings, decoder_graph, language_graph
from gunileo.published.lipnet import TOKENS, lipnet_graph
from gunileo.published.search import DECODER, LANGUAGE, MODEL, SOURCE
from gunileo.published.weights import Tensors


def write_model(folder: Path, w: Tensors, settings: Settings, metadata: Mapping[str, str]) -> None:
    """Write a conformer's encoder and decoder; ``ImportFault`` if a tensor is missing or left over, or the files answer
    otherwise than the weights."""
    told = {"tokens": json.dumps(settings.tokens), "input": "mean-face-88", "decoder": "ctc-attention", **metadata}
    encoder_graph(w, settings).write(folder / MODEL, told)
    source_graph(w, settings).write(folder / SOURCE, {})
    graph = decoder_graph(w, settings)
    w.done()
    graph.write(folder / DECODER, _state(settings.decoder_layers, settings.heads, settings.width))
    del graph  # it holds the decoder's weights a second time
    check_conformer(folder, w, settings)


def write_language_model(folder: Path, w: Tensors, settings: LanguageSettings) -> None:
    """Write a language model; raises as ``write_model``."""
    graph = language_graph(w, settings)
    w.done()
    graph.write(folder / LANGUAGE, _state(settings.layers, settings.heads, settings.width))
    check_language_model(folder, w, settings)


def write_lipnet(folder: Path, w: Tensors, metadata: Mapping[str, str]) -> None:
    """Write a LipNet; raises as ``write_model``."""
    graph = lipnet_graph(w)
    w.done()
    told = {"tokens": json.dumps(TOKENS), "input": "lipnet-64x128", "decoder": "ctc", **metadata}
    graph.write(folder / MODEL, told)
    check_lipnet(folder, w)


def _state(layers: int, heads: int, width: int) -> dict[str, str]:
    return {"state": json.dumps({"layers": layers, "heads": heads, "each": width // heads})}
