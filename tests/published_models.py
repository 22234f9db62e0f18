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


ENDS = {5049: "unigram5000_units.txt", 21460: "unigram_units.txt"}


def write_pieces(folder: Path, size: int) -> Path:
    """A checkpoint of reduced width as Auto-AVSR (5,049 classes) or ViSpeR (21,460) name its tensors, without
    ``model.json``, with a list of made-up pieces beside it."""
    import torch

    names = dict(reference("conformer", "expected.json")["names"]["swish_latest"])
    for name in ("ctc.ctc_lo", "decoder.output_layer"):
        names[f"{name}.weight"], names[f"{name}.bias"] = [size, SMALL["width"]], [size]
    names["decoder.embed.0.weight"] = [size, SMALL["width"]]
    weights = made_up(names)
    if size == 5049:
        weights = {_auto_avsr(name): value for name, value in weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({name: torch.from_numpy(value.copy()) for name, value in weights.items()}, folder / "model.pth")
    marks = ["<unk>"] if size == 5049 else ["<unk>", "<en>", "<ar>", "<es>", "<fr>", "<zh>"]
    pieces = [*marks, "\u2581", "'", *map(chr, range(ord("a"), ord("z") + 1))]
    pieces += [f"\u2581{_letters(number)}" for number in range(size - 2 - len(pieces))]
    listed = "".join(f"{piece} {number}\n" for number, piece in enumerate(pieces, 1))
    (folder / ENDS[size]).write_text(listed, encoding="utf-8")
    return folder


def _auto_avsr(name: str) -> str:
    if name.startswith("encoder.frontend."):
        return name.removeprefix("encoder.")
    return name.replace("encoder.embed.0.", "proj_encoder.", 1) if name.startswith("encoder.embed.") else name


def _letters(number: int) -> str:
    """A word of letters for a number, another for each."""
    word = ""
    while number >= 0:
        word, number = chr(ord("a") + number % 26) + word, number // 26 - 1
    return word
