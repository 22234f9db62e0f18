"""Keys of every published form come out as VSR-ML's, and tell the network."""

from pathlib import Path

import numpy as np
import pytest

from gunileo.published.errors import ImportFault
from gunileo.published.state_dict import CONFORMER, LANGUAGE_MODEL, LIPNET, network_of, with_common_keys

COMMON = {
    "encoder.frontend.frontend3D.0.weight",
    "encoder.embed.0.weight",
    "encoder.encoders.0.norm_mha.weight",
    "encoder.after_norm.weight",
    "decoder.after_norm.weight",
    "ctc.ctc_lo.weight",
}
AUTO_AVSR = {"encoder.frontend.": "frontend.", "encoder.embed.0.": "proj_encoder."}
NEWER_ESPNET = {
    "encoder.embed.": "encoder.input_layer.",
    "encoder.after_norm.": "encoder.norm.",
    "decoder.after_norm.": "decoder.output_norm.",
}


def saved(names: set[str], changes: dict[str, str] | None = None, prefix: str = "") -> dict[str, np.ndarray]:
    """Tensors, empty, by these names with other beginnings."""
    found = {}
    for name in names:
        for old, new in (changes or {}).items():
            name = new + name.removeprefix(old) if name.startswith(old) else name
        found[prefix + name] = np.zeros(0)
    return found


@pytest.mark.parametrize("changes", [{}, AUTO_AVSR, NEWER_ESPNET])
@pytest.mark.parametrize(
    "prefix", ["", "model.", "module.", "_orig_mod.model.", "model.backbone.", "state_dict.model."]
)
def test_keys_are_common(changes: dict[str, str], prefix: str) -> None:
    weights = with_common_keys(saved(COMMON, changes, prefix))
    assert set(weights) == COMMON
    assert network_of(weights, Path("model.pth")) == CONFORMER


def test_what_a_trainer_or_a_search_added_is_left_out() -> None:
    own = saved(COMMON, prefix="state_dict.model.")
    beside = saved(
        {"optimizer_states.lr", "state_dict.beam_search.decoder.weight", "state_dict.model.encoder.embed.pe"}
    )
    assert set(with_common_keys({**own, **beside})) == COMMON


def test_networks_are_told_apart() -> None:
    path = Path("model.pth")
    assert network_of(saved({"gru1.weight_ih_l0", "FC.weight"}), path) == LIPNET
    assert network_of(saved({"embed.weight", "decoder.weight"}), path) == LANGUAGE_MODEL
    for name, message in (
        ("encoder.frontend_v.trunk.weight", "a USR model"),
        ("feature_extractor_video.weight", "AV-HuBERT"),
        ("encoder.frontend.conv1.weight", "a model of sound"),
        ("tcn.weight", "a model of single words"),
        ("layer.weight", "no published network that gunileo knows"),
    ):
        with pytest.raises(ImportFault, match=f"^model.pth: .*{message}"):
            network_of(saved({name}), path)
