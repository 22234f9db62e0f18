"""LabialCNN: three spatio-temporal convolutions, two bidirectional GRUs, 37 classes for CTC."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gunileo.corpus.grid import CLASSES
from gunileo.training import recurrent
from gunileo.training.front_end import FrontEnd, Outputs


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


class LabialCNN(FrontEnd):
    """Mouth crops to log-probabilities of the 37 classes of ``gunileo.corpus.grid``.

    Takes one clip ``[1, T, 100, 150]`` and returns ``[T, 37]``, as the original did, or a batch
    ``[N, 1, T, 100, 150]`` with ``lengths [N]`` (frames without padding; by default all) and
    returns ``[N, T, 37]``. Crops are normalised by ``gunileo.vision.crop.normalise``. Padding is zero, and doesn't
    change a clip's output.

    With ``self_conditioning`` the first GRU's prediction of each frame's word is an input of the second, which spells
    it: as in J. Nozaki and T. Komatsu, "Relaxing the conditional independence assumption of CTC-based ASR by
    conditioning on intermediate predictions", Interspeech 2021, but of words. Raises ``ValueError`` if the
    configuration has no words.
    """

    def __init__(self, config: ModelConfig | None = None):
        config = config or ModelConfig()
        if config.self_conditioning and not config.words:
            raise ValueError("self-conditioning is on words, and the configuration names none")
        super().__init__(config.channels, config.shrink, config.normalise)
        self.config = config
        self.feature_dropout = nn.Dropout(config.feature_dropout)
        hidden, named = config.hidden, 1 + len(config.words)
        self.words = nn.Linear(2 * hidden, named) if config.words else None
        self.classes = nn.Linear(2 * hidden, len(CLASSES))
        self.between = nn.Dropout(config.dropout)
        layers, inner = (1, 0.0) if config.self_conditioning else (2, config.dropout)
        self.gru = nn.GRU(self.visual_features, hidden, layers, batch_first=True, bidirectional=True, dropout=inner)
        self.second = (
            nn.GRU(2 * hidden + named, hidden, batch_first=True, bidirectional=True)
            if config.self_conditioning
            else None
        )

    def forward(self, crops: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Natural logarithms of the class probabilities: [T, 37] of one clip, [N, T, 37] of a batch."""
        if crops.dim() == 4:
            return self.heads(crops[None])[0][0]
        return self.heads(crops, lengths)[0]

    def heads(self, crops: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities [N, T, 37], and scores of the word in each frame [N, T, 1 + words] if there are words."""
        return self.recur(self.visual(crops, lengths), lengths)[:2]

    def recur(self, features: Tensor, lengths: Tensor | None = None) -> Outputs:
        """The recurrent layers and heads, on the convolutions' features [N, T, F]."""
        x = _run(self.gru, self.feature_dropout(features), lengths)
        if self.second is None:
            return Outputs(self.log_probabilities(x), None if self.words is None else self.words(x), x)
        assert self.words is not None
        x = self.between(x)
        words: Tensor = self.words(x)
        y = _run(self.second, torch.cat([x, words.softmax(-1).to(x.dtype)], -1), lengths)
        return Outputs(self.log_probabilities(y), words, x)

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
        state |= self.folded_convolutions()
        folded.load_state_dict(state)
        return folded.eval()


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
