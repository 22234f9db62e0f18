"""The settings of a published network: from its tensors' shapes, and from ``model.json`` what these don't tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gunileo.published.conformer import Settings, checked
from gunileo.published.decoder import LanguageSettings
from gunileo.published.errors import ImportFault
from gunileo.published.weights import Tensors

_LARGEST = 16 << 20  # bytes of a file of settings or tokens
_BLOCK = "encoder.encoders.{}"
_TOLD = {  # settings that the shapes tell, too
    "adim": "width",
    "aheads": "heads",
    "eunits": "units",
    "elayers": "layers",
    "dunits": "decoder_units",
    "dlayers": "decoder_layers",
    "cnn_module_kernel": "kernel",
    "macaron_style": "macaron",
    "use_cnn_module": "convolution",
}
_ATTENTION = {"rel_mha": False, "legacy_rel_mha": True}


def read_settings(path: Path) -> Mapping[str, Any]:
    """The settings in ``model.json``: the third part of a list, or all of it. ``ImportFault`` if it is damaged."""
    try:
        content = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise ImportFault(f"{path}: can't be understood ({error}); download it again") from error
    if isinstance(content, list) and len(content) == 3:
        content = content[2]
    if not isinstance(content, dict):
        raise ImportFault(f"{path}: no settings of a published model; give the model.json that came with it")
    return content


def text_of(path: Path) -> str:
    """A small file's text, UTF-8; ``ImportFault`` if it can't be read."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ImportFault(f"{path}: too large for a list of settings or tokens; give the file that was published")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ImportFault(f"{path}: can't be read ({error.strerror}); check the file") from error
    except UnicodeDecodeError as error:
        raise ImportFault(f"{path}: no text in UTF-8; download it again") from error


def conformer_settings(w: Tensors, told: Mapping[str, Any], tokens: tuple[str, ...]) -> Settings:
    """The settings of a conformer by its tensors and what ``model.json`` told, if there was one.

    Raises ``ImportFault`` if they contradict each other, or are of a network that can't be read.
    """
    _check_parts(w, told)
    block = _BLOCK.format(0)
    convolution = f"{block}.conv_module.depthwise_conv.weight"
    layers, decoder_layers = w.count(f"{_BLOCK}.norm_mha.weight"), w.count("decoder.decoders.{}.norm1.weight")
    prelu = "encoder.frontend.trunk.layer1.0.relu1.weight" in w
    settings = Settings(
        tokens,
        width=w.shape("encoder.embed.0.weight")[0],
        heads=w.shape(f"{block}.self_attn.pos_bias_u")[0],
        units=w.shape(f"{block}.feed_forward.w_1.weight")[0],
        layers=layers,
        decoder_units=w.shape("decoder.decoders.0.feed_forward.w_1.weight")[0],
        decoder_layers=decoder_layers,
        kernel=w.shape(convolution)[2] if convolution in w else 1,
        macaron=f"{block}.norm_ff_macaron.weight" in w,
        convolution=convolution in w,
        legacy_positions=_legacy(w, told),
        activation="prelu" if prelu else str(told.get("relu_type", "swish")),
    )
    for key, own in _TOLD.items():
        if key in told and told[key] != getattr(settings, own) and not (own == "kernel" and not convolution):
            found = f"{key} {told[key]!r}, its weights {getattr(settings, own)}"
            raise ImportFault(f"{w.source}: its settings say {found}; give the model.json that came with it")
    if (size := w.shape("ctc.ctc_lo.weight")[0]) != len(tokens):
        raise ImportFault(f"{w.source}: {size} tokens, but its list has {len(tokens)}; give the list that came with it")
    return checked(settings, w.source)


def _check_parts(w: Tensors, told: Mapping[str, Any]) -> None:
    for name, part in (("ctc.ctc_lo.weight", "CTC layer"), ("decoder.output_layer.weight", "decoder")):
        if name not in w:
            raise ImportFault(f"{w.source}: has no {part}; a model with CTC and a decoder is needed, give another")
    if told.get("transformer_input_layer", "conv3d") != "conv3d":
        raise ImportFault(f"{w.source}: a model of sound; give one of video")


def _legacy(w: Tensors, told: Mapping[str, Any]) -> bool:
    if not told:
        return False  # Auto-AVSR's and ViSpeR's checkpoints, which come without
    kind, positions = told.get("transformer_encoder_attn_layer_type", "rel_mha"), told.get("rel_pos_type", "legacy")
    if kind not in _ATTENTION or positions not in ("latest", "legacy"):
        raise ImportFault(f"{w.source}: attention {kind!r} with {positions!r} positions isn't known; update gunileo")
    return _ATTENTION[kind] or positions == "legacy"


def language_settings(w: Tensors, told: Mapping[str, Any]) -> LanguageSettings:
    """The settings of a language model by its tensors and ``model.json``, which tells heads and positions."""
    if "head" not in told or told.get("pos_enc") not in ("none", "sinusoidal"):
        raise ImportFault(f"{w.source}: its model.json has no head and pos_enc; give the one that came with it")
    tokens, embedding = w.shape("embed.weight")
    width, heads = w.shape("decoder.weight")[1], told["head"]
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise ImportFault(f"{w.source}: a width of {width} can't be split among {heads!r} heads; check its model.json")
    units = w.shape("encoder.encoders.0.feed_forward.w_1.weight")[0]
    layers = w.count(f"{_BLOCK}.norm_mha.weight")
    return LanguageSettings(tokens, embedding, width, heads, units, layers, told["pos_enc"] == "sinusoidal")
