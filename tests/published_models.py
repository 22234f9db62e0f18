"""Published networks with made-up weights, as ``shared/reference/conformer/README.md`` makes them."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gunileo.published.conformer import Settings
from gunileo.published.decoder import LanguageSettings

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
TOKENS = ("<blank>", *(chr(ord("A") + n) if n < 26 else f"{n}" for n in range(38)), "<space>", "<eos>")
SMALL = {"width": 32, "heads": 4, "units": 64, "layers": 2, "decoder_units": 64, "decoder_layers": 2, "kernel": 31}
SETTINGS = {
    "swish_latest": Settings(TOKENS, **SMALL),
    "prelu_legacy": Settings(TOKENS, **SMALL, activation="prelu", legacy_positions=True),
    "swish_latest_4x": Settings(TOKENS, 64, 2, 64, 3, 64, 1, 15),
}
LANGUAGE = {name: LanguageSettings(41, 16, 32, 2, 64, 2, name == "sinusoidal") for name in ("none", "sinusoidal")}
VIDEO = np.random.default_rng(7).standard_normal((1, 30, 88, 88)).astype(np.float32)


def made_up(names: dict[str, list[int]]) -> dict[str, Any]:
    """Weights of these names and shapes."""
    return {name: _tensor(name, tuple(shape)) for name, shape in names.items()}


def _tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    g = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        g = 1 + 0.1 * abs(g)
    elif name.endswith(("running_mean", "bias")) or "pos_bias" in name:
        g = 0.1 * g
    elif len(shape) > 1:
        g = g / np.sqrt(np.prod(shape[1:]))
    else:
        g = 1 + 0.1 * g
    return g.astype(np.float32)


def reference(network: str, file: str) -> Any:
    """Numbers that the published code printed; the test is skipped where there are none."""
    path = REFERENCE / network / file
    if not path.is_file():
        pytest.skip(f"needs {path}")
    return json.loads(path.read_text()) if path.suffix == ".json" else np.load(path)


def write_checkpoint(folder: Path, network: str, settings: dict[str, Any] | None = None) -> Path:
    """A folder as VSR-ML's zips have it: ``model.pth`` of made-up weights, and ``model.json`` if there are settings."""
    import torch

    names = reference("conformer", "expected.json")["names"][network]
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: torch.from_numpy(value.copy()) for name, value in made_up(names).items()}
    torch.save(state, folder / "model.pth")
    if settings is not None:
        (folder / "model.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def told(name: str) -> dict[str, Any]:
    """The settings of ``SETTINGS`` as a ``model.json`` tells them."""
    own = SETTINGS[name]
    return {
        "adim": own.width,
        "aheads": own.heads,
        "eunits": own.units,
        "elayers": own.layers,
        "dunits": own.decoder_units,
        "dlayers": own.decoder_layers,
        "cnn_module_kernel": own.kernel,
        "relu_type": own.activation,
        "transformer_input_layer": "conv3d",
        "transformer_encoder_attn_layer_type": "rel_mha",
        **({} if own.legacy_positions else {"rel_pos_type": "latest"}),
        "mtlalpha": 0.1,
        "char_list": list(own.tokens),
    }


LANGUAGE_TOLD = {"layer": 2, "unit": 64, "att_unit": 32, "embed_unit": 16, "head": 2, "pos_enc": "none"}
