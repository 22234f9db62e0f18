"""State dicts of published models: their keys by one convention, VSR-ML's, and which network they are of."""

from __future__ import annotations

from pathlib import Path

from gunileo.published.checkpoint import Weights
from gunileo.published.errors import ImportFault

CONFORMER, LANGUAGE_MODEL, LIPNET = "conformer", "language model", "LipNet"

_WRAPPERS = ("state_dict.", "model_state_dict.")  # dictionaries in a checkpoint that have the weights
_PREFIXES = ("module.", "_orig_mod.", "model.backbone.", "model.", "vsr.")
_RENAMED = {  # of Auto-AVSR, and of ESPnet's older and newer versions
    "frontend.": "encoder.frontend.",
    "proj_encoder.": "encoder.embed.0.",
    "encoder.input_layer.": "encoder.embed.",
    "encoder.norm.": "encoder.after_norm.",
    "decoder.output_norm.": "decoder.after_norm.",
}
_UNREAD = {  # tensors by which other published networks are known
    "encoder.frontend_v.": "a USR model",
    "encoder.w2v_model.": "an AV-HuBERT model, whose licence forbids most uses",
    "feature_extractor_video.": "an AV-HuBERT model, whose licence forbids most uses",
    "encoder.frontend.conv1.": "a model of sound",
    "aux_encoder.": "a model of sound and video together",
    "tcn.": "a model of single words",
}


def with_common_keys(weights: Weights) -> Weights:
    """The same tensors by VSR-ML's keys, without a wrapper's prefixes and what a search or a trainer added."""
    for wrapper in _WRAPPERS:
        if any(name.startswith(wrapper) for name in weights):
            weights = _within(weights, wrapper)
    weights = {name: one for name, one in weights.items() if "beam_search." not in name}
    while weights:
        shared = next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in weights)), None)
        if shared is None:
            break
        weights = _within(weights, shared)
    return {_common_key(name): one for name, one in weights.items() if not name.endswith(".pe")}


def _within(weights: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)}


def _common_key(name: str) -> str:
    for old, new in _RENAMED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def network_of(weights: Weights, path: Path) -> str:
    """``CONFORMER``, ``LANGUAGE_MODEL`` or ``LIPNET``; ``ImportFault`` if it is none of these."""
    if "encoder.frontend.frontend3D.0.weight" in weights:
        return CONFORMER
    if "gru1.weight_ih_l0" in weights and "FC.weight" in weights:
        return LIPNET
    if "embed.weight" in weights and "decoder.weight" in weights:
        return LANGUAGE_MODEL
    for prefix, other in _UNREAD.items():
        if any(name.startswith(prefix) for name in weights):
            raise ImportFault(f"{path}: {other}; gunileo reads conformers of VSR-ML and Auto-AVSR, ViSpeR and LipNet")
    first = next(iter(weights), "nothing")
    raise ImportFault(f"{path}: no published network that gunileo knows (it begins with {first[:60]!r}); see the docs")
