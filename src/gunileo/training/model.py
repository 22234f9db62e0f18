"""LabialCNN: three spatio-temporal convolutions, two bidirectional GRUs, 37 classes for CTC."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gunileo.corpus.grid import CLASSES
from gunileo.errors import GunileoError
from gunileo.training import recurrent
from gunileo.training.parallel import BatchNorm
from gunileo.util.files import whole
from gunileo.vision.mouth import HEIGHT, WIDTH


@dataclass(frozen=True)
class ModelConfig:
    """The architecture of a LabialCNN; the defaults are the published one, 4.3 million parameters."""

    channels: tuple[int, ...] = (8, 16, 32)  # of the convolutions
    shrink: int = 1  # pixels, each way, whose mean the first convolution sees as one; not in the original
    hidden: int = 256  # units of a GRU, each direction
    dropout: float = 0.5  # between the GRUs
    feature_dropout: float = 0.0  # before the first GRU; not in the original
    normalise: bool = False  # batch normalisation after each convolution; not in the original
    words: tuple[str, ...] = ()  # of a second head, which classifies each frame; not in the original
    self_conditioning: bool = False  # that head follows the first GRU, and feeds the second; not in the original


# By the names of the models that are shipped.
ARCHITECTURES = {
    "labial": ModelConfig(),
    "labial-wide": ModelConfig(channels=(16, 32, 64), shrink=2, self_conditioning=True),
}


class Outputs(NamedTuple):
    """What the recurrent layers give for clips."""

    log_probabilities: Tensor  # [N, T, 37]
    words: Tensor | None  # scores of the word in each frame, [N, T, 1 + words], if there are words
    features: Tensor  # [N, T, 2 * hidden] of the first GRU, or of the published architecture's two as one


class _MaxPool(nn.MaxPool3d):
    """In the type of its input: autocast would turn bfloat16 to float32 here, at twice the time."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            pooled: Tensor = super().forward(input)
        return pooled


class LabialCNN(nn.Module):
    """Mouth crops to log-probabilities of the 37 classes of ``gunileo.corpus.grid``.

    Takes one clip ``[1, T, 100, 150]`` and returns ``[T, 37]``, as the original did, or a batch
    ``[N, 1, T, 100, 150]`` with ``lengths [N]`` (frames that are no padding; all of them if left out) and
    returns ``[N, T, 37]``. Crops are normalised by ``gunileo.vision.mouth.normalise``; padding is zero. A clip's
    output does not depend on how far it is padded.

    With ``self_conditioning`` the first GRU's prediction of each frame's word is an input of the second, which spells
    it: as in J. Nozaki and T. Komatsu, "Relaxing the conditional independence assumption of CTC-based ASR by
    conditioning on intermediate predictions", Interspeech 2021, but of words. Raises ``ValueError`` if the
    configuration has no words.
    """

    def __init__(self, config: ModelConfig | None = None):
        super().__init__()
        self.config = config = config or ModelConfig()
        if config.self_conditioning and not config.words:
            raise ValueError("self-conditioning is on words, and the configuration names none")
        self.shrink = nn.AvgPool3d((1, config.shrink, config.shrink)) if config.shrink > 1 else nn.Identity()
        self.convolutions = nn.ModuleList()
        height, width = HEIGHT // config.shrink, WIDTH // config.shrink
        for index, (inputs, outputs) in enumerate(zip((1, *config.channels), config.channels, strict=False)):
            stride = 2 if index == 0 else 1
            block: list[nn.Module] = [nn.Conv3d(inputs, outputs, (3, 5, 5), (1, stride, stride), (1, 2, 2))]
            if config.normalise:
                block.append(BatchNorm(outputs))
            # The maximum of ReLUs is the ReLU of the maximum, at a quarter of the cost.
            self.convolutions.append(nn.Sequential(*block, _MaxPool((1, 2, 2)), nn.ReLU(inplace=True)))
            height, width = ((size + stride - 1) // stride // 2 for size in (height, width))
        # With the inputs of ``encode`` in the same order: a third faster on processors, no other result.
        self.convolutions.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.feature_dropout = nn.Dropout(config.feature_dropout)
        features = config.channels[-1] * height * width
        hidden, named = config.hidden, 1 + len(config.words)
        self.words = nn.Linear(2 * hidden, named) if config.words else None
        self.classes = nn.Linear(2 * hidden, len(CLASSES))
        self.between = nn.Dropout(config.dropout)
        layers, inner = (1, 0.0) if config.self_conditioning else (2, config.dropout)
        self.gru = nn.GRU(features, hidden, layers, batch_first=True, bidirectional=True, dropout=inner)
        self.second = (
            nn.GRU(2 * hidden + named, hidden, batch_first=True, bidirectional=True)
            if config.self_conditioning
            else None
        )

    def forward(self, crops: Tensor, lengths: Tensor | None = None) -> Tensor:
        if crops.dim() == 4:
            return self.heads(crops[None])[0][0]
        return self.heads(crops, lengths)[0]

    def heads(self, crops: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities [N, T, 37], and scores of the word in each frame [N, T, 1 + words] if there are words."""
        if lengths is None:
            features = self.convolve(crops.contiguous(memory_format=torch.channels_last_3d))
            return self.recur(features)[:2]
        frames, mask, places = _end_to_end(crops, lengths)
        features = self.convolve(frames, mask)[0].index_select(1, places.flatten())
        return self.recur(torch.unflatten(features, 1, places.shape).transpose(0, 1), lengths)[:2]

    def recur(self, features: Tensor, lengths: Tensor | None = None) -> Outputs:
        """The recurrent layers and heads, on the convolutions' features."""
        x = _run(self.gru, self.feature_dropout(features.transpose(1, 2).flatten(2)), lengths)
        if self.second is None:
            return Outputs(self.log_probabilities(x), None if self.words is None else self.words(x), x)
        assert self.words is not None
        x = self.between(x)
        words: Tensor = self.words(x)
        y = _run(self.second, torch.cat([x, words.softmax(-1).to(x.dtype)], -1), lengths)
        return Outputs(self.log_probabilities(y), words, x)

    def convolve(self, crops: Tensor, mask: Tensor | None = None) -> Tensor:
        """The convolutions' features of each frame, [N, channels, T, height, width].

        ``mask``, bool [T], is false at frames that belong to no clip, which then change nothing.
        """
        x: Tensor = self.shrink(crops.transpose(1, 2)).transpose(1, 2)  # frames as channels are quicker
        for block in self.convolutions:
            assert isinstance(block, nn.Sequential)
            conv, *norm, pool, relu = block
            if mask is not None:  # a kernel three frames long would carry such frames into the clips
                x = x * mask[:, None, None]
            x = conv(x)
            if norm:
                x = norm[0](x, mask)
            x = relu(pool(x))
        return x

    def log_probabilities(self, encoded: Tensor) -> Tensor:
        """Natural logarithms of the class probabilities, [N, T, 37]: what CTC's loss and decoders expect."""
        scores: Tensor = self.classes(encoded)
        return scores.float().log_softmax(-1)

    def fold(self) -> LabialCNN:
        """The same function with batch normalisation folded into the convolutions and an idle word head left out.

        Exact in evaluation mode: without ``self_conditioning`` the result has the published layers alone. Returns a
        copy, in evaluation mode.
        """
        words = self.config.words if self.config.self_conditioning else ()
        folded = LabialCNN(replace(self.config, normalise=False, words=words))
        left = ("convolutions",) if words else ("convolutions", "words")
        state = {name: value for name, value in self.state_dict().items() if not name.startswith(left)}
        for index, block in enumerate(deepcopy(self.convolutions).eval()):
            assert isinstance(block, nn.Sequential)
            conv, norm = block[0], block[1]
            assert isinstance(conv, nn.Conv3d)
            if isinstance(norm, nn.BatchNorm3d):
                conv = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
            state |= {f"convolutions.{index}.0.{name}": value for name, value in conv.state_dict().items()}
        folded.load_state_dict(state)
        return folded.eval()


def _end_to_end(crops: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Padded clips as one, [1, 1, frames, height, width], which of its frames are theirs, bool [frames], and where
    each clip's are, [N, T].

    A frame of zeros is all that parts a clip from the next, so that no padding is convolved; all of a clip's padding
    is where that frame is.
    """
    gap = crops.new_zeros(1, *crops.shape[3:])
    clips = [clip[0, :length] for clip, length in zip(crops, lengths.tolist(), strict=True)]
    frames = torch.cat([part for clip in clips for part in (clip, gap)])
    lengths = lengths.to(crops.device)
    gaps = (lengths + 1).cumsum(0) - 1
    mask = torch.ones(len(frames), dtype=torch.bool, device=crops.device)
    mask[gaps] = False
    steps = torch.arange(crops.shape[2], device=crops.device)
    places = (gaps - lengths)[:, None] + torch.minimum(steps, lengths[:, None])
    return frames[None, :, :, :, None].permute(0, 4, 1, 2, 3), mask, places  # channels last


def _run(gru: nn.GRU, x: Tensor, lengths: Tensor | None) -> Tensor:
    """A GRU's output [N, T, 2 * hidden], the same at a clip's frames however far it is padded."""
    if lengths is None:
        output: Tensor = gru(x)[0]
        return output
    if gru.training and x.device.type == "cpu":
        return recurrent.run(gru, x, lengths)
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    unpacked: Tensor = pad_packed_sequence(gru(packed)[0], batch_first=True, total_length=x.shape[1])[0]
    return unpacked


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
        model = LabialCNN(ModelConfig(**config))
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    except Exception as error:  # a damaged configuration can make torch raise any
        reason = " ".join(str(error).split())[:200]
        raise GunileoError(f"{path}: no LabialCNN weights ({reason}); give a file written by gunileo train") from error
    return model.eval()
