"""Weights in safetensors files, and the architectures that they are of."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gunileo.errors import GunileoError
from gunileo.training.dataset import Batch
from gunileo.training.model import LabialCNN, ModelConfig
from gunileo.training.shape_model import LabialShape, ShapeConfig
from gunileo.util.files import whole

Network = LabialCNN | LabialShape
# By the names of the models that are shipped.
ARCHITECTURES: dict[str, ModelConfig | ShapeConfig] = {
    "labial": ModelConfig(),
    "labial-wide": ModelConfig(channels=(16, 32, 64), shrink=2, self_conditioning=True),
    ShapeConfig.architecture: ShapeConfig(),
}


def parameters(model: nn.Module) -> int:
    """The number of a model's parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def heads(network: Network, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities [N, T, 37], and scores of the word in each frame [N, T, 1 + words] if the network has words.

    A LabialCNN takes the crops of a batch, and passes over the shapes. Raises ``ValueError`` if there are no crops.
    """
    if isinstance(network, LabialShape):
        return network.heads(batch.crops, batch.lengths, batch.shape, batch.seen, batch.visual)
    if batch.crops is None:
        raise ValueError("a LabialCNN takes crops, and the batch has none")
    return network.heads(batch.crops, batch.lengths)


def described(config: ModelConfig | ShapeConfig) -> dict[str, Any]:
    """A configuration as JSON can hold it. LabialCNN's has no name in it: the first version wrote none."""
    name = {"architecture": config.architecture} if isinstance(config, ShapeConfig) else {}
    return {**name, **asdict(config)}


def save_model(model: Network, path: Path | str, notes: Mapping[str, str] | None = None, half: bool = False) -> None:
    """Write weights as safetensors with the configuration inside, in float16 if ``half``. Raises ``OSError``."""
    state = {
        name: value.detach().to("cpu", torch.float16 if half and value.is_floating_point() else None).contiguous()
        for name, value in model.state_dict().items()
    }
    with whole(Path(path)) as part:
        try:
            save_file(state, part, metadata={**(notes or {}), "config": json.dumps(described(model.config))})
        except SafetensorError as error:  # what it makes of a full disk
            raise OSError(errno.EIO, str(error)) from error


def load_weights(path: Path | str) -> Network:
    """The network of a safetensors file, float32, in evaluation mode.

    Raises ``GunileoError`` if the file is missing, damaged or of another architecture.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config: dict[str, Any] = json.loads(metadata["config"])
        if "feedback" in config:  # as the shipped files call it; they keep their checksums
            config["self_conditioning"] = config.pop("feedback")
        config |= {name: tuple(value) for name, value in config.items() if isinstance(value, list)}
        if config.pop("architecture", None) == ShapeConfig.architecture:
            model: Network = LabialShape(ShapeConfig(**config))
        else:
            model = LabialCNN(ModelConfig(**config))
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    except Exception as error:  # a damaged configuration can make torch raise any
        reason = " ".join(str(error).split())[:200]
        raise GunileoError(f"{path}: no LabialCNN weights ({reason}); give a file written by gunileo train") from error
    return model.eval()
