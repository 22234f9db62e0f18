"""LabialCNN: three spatio-temporal convolutions, two bidirectional GRUs, 37 classes for CTC."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gunileo.errors import GunileoError
from gunileo.files import whole
from gunileo.mouth import HEIGHT, WIDTH
from gunileo.sentence import CLASSES


@dataclass(frozen=True)
class ModelConfig:
    """The layout of a LabialCNN; the defaults are the published one, 4.3 million parameters."""

    channels: tuple[int, ...] = (8, 16, 32)  # of the convolutions
    hidden: int = 256  # units of a GRU, each direction
    dropout: float = 0.5  # between the GRUs
    feature_dropout: float = 0.0  # before the first GRU; not in the original
    normalise: bool = False  # batch normalisation after each convolution; not in the original
    words: tuple[str, ...] = ()  # a second head names the word said in each frame; not in the original


class _MaxPool(nn.MaxPool3d):
    """In the type of its input: autocast would turn bfloat16 to float32 here, at twice the time."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            pooled: Tensor = super().forward(input)
        return pooled


class LabialCNN(nn.Module):
    """Mouth regions to log-probabilities of the 37 classes of ``gunileo.sentence``.

    Takes one clip ``[1, T, 100, 150]`` and returns ``[T, 37]``, as the original did, or a batch
    ``[N, 1, T, 100, 150]`` with ``lengths [N]`` (frames that are no padding; all of them if left out) and
    returns ``[N, T, 37]``. Regions are normalised by ``gunileo.mouth.normalise``; padding is zero. A clip's
    output does not depend on how far it is padded.
    """

    def __init__(self, config: ModelConfig | None = None):
        super().__init__()
        self.config = config = config or ModelConfig()
        self.convolutions = nn.ModuleList()
        height, width = HEIGHT, WIDTH
        for index, (inputs, outputs) in enumerate(zip((1, *config.channels), config.channels, strict=False)):
            stride = 2 if index == 0 else 1
            block: list[nn.Module] = [nn.Conv3d(inputs, outputs, (3, 5, 5), (1, stride, stride), (1, 2, 2))]
            if config.normalise:
                block.append(nn.BatchNorm3d(outputs))
            # The maximum of ReLUs is the ReLU of the maximum, at a quarter of the cost.
            self.convolutions.append(nn.Sequential(*block, _MaxPool((1, 2, 2)), nn.ReLU(inplace=True)))
            height, width = height // stride // 2, width // stride // 2
        # With the inputs of ``encode`` in the same order: a third faster on processors, no other result.
        self.convolutions.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.feature_dropout = nn.Dropout(config.feature_dropout)
        features = config.channels[-1] * height * width
        self.gru = nn.GRU(features, config.hidden, 2, batch_first=True, bidirectional=True, dropout=config.dropout)
        self.classes = nn.Linear(2 * config.hidden, len(CLASSES))
        self.words = nn.Linear(2 * config.hidden, 1 + len(config.words)) if config.words else None

    def forward(self, regions: Tensor, lengths: Tensor | None = None) -> Tensor:
        if regions.dim() == 4:
            return self.log_probabilities(self.encode(regions[None], None))[0]
        return self.log_probabilities(self.encode(regions, lengths))

    def encode(self, regions: Tensor, lengths: Tensor | None) -> Tensor:
        """What both heads see of each frame: [N, T, 2 * hidden]."""
        mask = None
        if lengths is not None:
            frames = torch.arange(regions.shape[2], device=regions.device)
            mask = (frames < lengths.to(regions.device)[:, None])[:, None, :, None, None]
        x = self.convolve(regions.contiguous(memory_format=torch.channels_last_3d), mask)
        x = self.feature_dropout(x.transpose(1, 2).flatten(2))
        if lengths is None:
            output: Tensor = self.gru(x)[0]
            return output
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        unpacked: Tensor = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return unpacked

    def convolve(self, regions: Tensor, mask: Tensor | None = None) -> Tensor:
        """The convolutions' features of each frame, [N, channels, T, height, width]; ``mask`` is 0 at padding."""
        x = regions
        for block in self.convolutions:
            # A kernel three frames long would carry padding into the clip.
            x = block(x if mask is None else x * mask)
        return x

    def log_probabilities(self, encoded: Tensor) -> Tensor:
        """Natural logarithms of the class probabilities, [N, T, 37]: what CTC's loss and decoders expect."""
        scores: Tensor = self.classes(encoded)
        return scores.float().log_softmax(-1)

    def fold(self) -> LabialCNN:
        """The same function with batch normalisation folded into the convolutions and the word head left out.

        Exact in evaluation mode: the result has the published layers alone. Returns a copy, in evaluation mode.
        """
        folded = LabialCNN(replace(self.config, normalise=False, words=()))
        state = {name: value for name, value in self.state_dict().items() if not name.startswith(("convol", "words"))}
        for index, block in enumerate(deepcopy(self.convolutions).eval()):
            assert isinstance(block, nn.Sequential)
            conv, norm = block[0], block[1]
            assert isinstance(conv, nn.Conv3d)
            if isinstance(norm, nn.BatchNorm3d):
                conv = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
            state |= {f"convolutions.{index}.0.{name}": value for name, value in conv.state_dict().items()}
        folded.load_state_dict(state)
        return folded.eval()


def parameters(model: nn.Module) -> int:
    """How many numbers a model has learned."""
    return sum(parameter.numel() for parameter in model.parameters())


def save_model(model: LabialCNN, path: Path | str, notes: Mapping[str, str] | None = None, half: bool = False) -> None:
    """Write weights as safetensors with the configuration inside; ``half`` stores them in float16."""
    state = {
        name: value.detach().to("cpu", torch.float16 if half and value.is_floating_point() else None).contiguous()
        for name, value in model.state_dict().items()
    }
    with whole(Path(path)) as part:
        try:
            save_file(state, part, metadata={**(notes or {}), "config": json.dumps(asdict(model.config))})
        except SafetensorError as error:  # what it makes of a full disk
            raise OSError(errno.EIO, str(error)) from error


def load_weights(path: Path | str) -> LabialCNN:
    """The LabialCNN of a safetensors file, float32, in evaluation mode.

    Raises ``GunileoError`` if the file is missing, damaged or of another layout.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config: dict[str, Any] = json.loads(metadata["config"])
        config |= {name: tuple(value) for name, value in config.items() if isinstance(value, list)}
        model = LabialCNN(ModelConfig(**config))
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise GunileoError(f"{path}: no LabialCNN weights ({error}); give a file written by gunileo train") from error
    return model.eval()
