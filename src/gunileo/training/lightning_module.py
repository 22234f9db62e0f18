"""One epoch after another as Lightning runs them: batches, losses, optimiser, what is tested and logged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.grid import BLANK
from gunileo.corpus.labels import WordTime
from gunileo.decoding.ctc import greedy
from gunileo.errors import GunileoError
from gunileo.evaluation.metrics import cer, wer
from gunileo.training import parallel
from gunileo.training.alignment import Times, pseudo_align
from gunileo.training.config import TrainingConfig, loaders
from gunileo.training.dataset import NO_WORD, Batch, Clips, Draws, LikeWithLike, Shapes, collate
from gunileo.training.frozen_features import FrozenFeatures, keep
from gunileo.training.history import draw, record
from gunileo.training.initialise import network
from gunileo.training.pace import usual_sentence
from gunileo.training.sampling import balanced, evened, silences
from gunileo.training.shape_model import LabialShape
from gunileo.training.weights import heads
from gunileo.util.cores import usable_cores


class Training(lightning.LightningModule):
    """The training and the test loop over one cache.

    Raises ``GunileoError`` if the architecture needs word times and the clips have none, and if a loss is not finite.
    """

    def __init__(
        self,
        cache: Cache,
        training: Sequence[CachedUtterance],
        validation: Sequence[CachedUtterance],
        run: Path,
        settings: TrainingConfig,
    ):
        super().__init__()
        self.cache, self.run, self.settings = cache, run, settings
        self.train_part, self.val_part = training, validation
        self.shapes = Shapes(cache)
        if settings.shapes:  # here once, not in each epoch's loaders again
            self.shapes.load([*training, *validation])
        self.silences = silences(self.shapes, training) if settings.shapes else None
        self.words = tuple(sorted({word.word for utterance in training for word in utterance.words}))
        if settings.self_conditioning and not (self.words or settings.init):
            raise GunileoError(
                "this architecture learns from word times, and the clips have none; use --architecture labial"
            )
        self.model = network(settings, self.words, usual_sentence(training))
        self.words = self.model.config.words or self.words
        if settings.frozen:
            self.model.convolutions.requires_grad_(False)
        if settings.inputs_alone and isinstance(self.model, LabialShape):
            self.model.inputs_alone_learn()
        self.ctc = torch.nn.CTCLoss(blank=BLANK)
        self.losses: list[float] = []  # of the batches trained on
        self.tested: dict[int, tuple[float, list[tuple[str, str]]]] = {}  # loss, said and read, of each test batch
        self.times: Times = {}  # pseudo-alignments of clips that came without word times
        self.blank = False
        self.ended = Event()  # by Ctrl-C
        self.progress: Callable[[int, int], None] | None = None
        self.looks: FrozenFeatures | None = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Or a run that was stopped after that epoch would forget.
        checkpoint["blank"] = self.blank
        checkpoint["times"] = {name: [[*asdict(word).values()] for word in words] for name, words in self.times.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.blank = bool(checkpoint.get("blank"))
        times = checkpoint.get("times", {})
        self.times = {name: tuple(WordTime(*word) for word in words) for name, words in times.items()}

    def clips(self, epoch: int) -> Clips:
        """The training clips as one epoch sees them: at first, spans of a few words with little augmentation.

        At the end of the curriculum most are whole sentences, changed as far as the augmentation goes; a run that
        begins with a trained model begins there.
        """
        settings = self.settings
        growing = 0.0 if settings.init else settings.curriculum * settings.epochs
        grown = min(1.0, epoch / growing) if growing else 1.0
        share = 1 - (1 - settings.spans_at_end) * grown
        random = np.random.default_rng((settings.seed, epoch))
        part = self._part(random)
        draws = random.random(len(part))
        spans = frozenset(i for i, utterance in enumerate(part) if utterance.words and draws[i] < share)
        alone = random.random(len(part)) < (settings.shapes_alone if settings.shapes else 0)
        part = [replace(utterance, words=self.times.get(utterance.id, utterance.words)) for utterance in part]
        changes = Draws(
            settings.augmentation.scaled(grown),
            settings.shape_augmentation,
            self.silences,
            spans,
            frozenset(np.flatnonzero(alone).tolist()),
            (settings.seed, epoch),
        )
        return Clips(self.cache, part, self.words, changes, self.shapes, self.looks)

    def _part(self, random: np.random.Generator) -> list[CachedUtterance]:
        """The utterances of an epoch; of shapes, each once beside those with crops, whose speakers are evened out."""
        if self.settings.samples:
            return balanced(self.train_part, self.settings.samples, random)
        if not self.settings.shapes:
            return list(self.train_part)
        crops = [utterance for utterance in self.train_part if utterance.has_crops]
        shapes = [utterance for utterance in self.train_part if not utterance.has_crops]
        return shapes + [one for _ in range(self.settings.crop_repeats) for one in evened(crops, random)]

    def _batches(self, clips: Clips, own: Callable[[list[int]], list[int]] = list) -> LikeWithLike:
        return LikeWithLike(clips, self.settings.batch_size, self.settings.shape_batch, own)

    @property
    def looks_file(self) -> Path:
        """Where this process keeps its looks while it trains."""
        return self.run / f"looks-{parallel.number()}.bin"

    def on_fit_start(self) -> None:
        if self.settings.looks:
            crops = [utterance for utterance in self.train_part if utterance.has_crops]
            self.model.convolutions.eval()
            with self.trainer.precision_plugin.forward_context():
                self.looks = keep(self.looks_file, self.cache, crops, self.model, self.settings)

    def on_train_epoch_start(self) -> None:
        if self.settings.frozen:
            self.model.convolutions.eval()  # the normalisation's running means stay, too
        if self.settings.inputs_alone:  # as they do in all layers: those of a few clips are one face's
            for layer in self.model.modules():
                if isinstance(layer, torch.nn.BatchNorm1d):
                    layer.eval()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if self.ended.is_set():
            raise KeyboardInterrupt

    def train_dataloader(self) -> DataLoader[Any]:
        if 0 < self.settings.pseudo_align_from <= self.current_epoch and not self.times:
            self.times = pseudo_align(self.model, self.cache, self.train_part)
        clips = self.clips(self.current_epoch)
        return self._loader(clips, self._batches(clips, parallel.own))

    def val_dataloader(self) -> DataLoader[Any]:
        clips = Clips(self.cache, self.val_part, self.words, shapes=self.shapes)
        return self._loader(clips, list(self._test_batches().values()))

    def _test_batches(self) -> dict[int, list[int]]:
        batches = []
        for crops in (True, False):
            size = self.settings.batch_size if crops else self.settings.shape_batch
            places = [place for place, utterance in enumerate(self.val_part) if utterance.has_crops == crops]
            batches += [places[start : start + size] for start in range(0, len(places), size)]
        return parallel.own_batches(batches)

    def _loader(self, clips: Clips, batches: Any) -> DataLoader[Any]:
        # The first convolution would round them so, too; half as much goes from process to process.
        dtype = torch.bfloat16 if self.trainer.precision == "bf16-mixed" else torch.float32
        together = partial(collate, dtype=dtype)
        workers = self.settings.workers
        if workers is None:
            workers = loaders(self.device.type, usable_cores(), parallel.launched()[0])
        return DataLoader(clips, batch_sampler=batches, collate_fn=together, num_workers=workers)

    def configure_optimizers(self) -> Any:
        settings = self.settings
        visual = list(self.model.convolutions.parameters())
        others = [one for name, one in self.model.named_parameters() if not name.startswith("convolutions.")]
        rates = [settings.learning_rate, settings.visual_rate * settings.learning_rate]
        groups = [{"params": others}, {"params": visual}]
        optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        steps = sum(len(self._batches(self.clips(epoch))) for epoch in range(settings.epochs))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        # Dropout draws the same in a batch whether or not the run was stopped before it.
        draw_of = 1_000_003 * self.current_epoch + batch_idx + 999_983_000_000 * parallel.number()
        torch.manual_seed(self.settings.seed + draw_of)
        log_probabilities, words = heads(self.model, batch)
        ctc = self._ctc(log_probabilities, batch)
        clips, frames = len(batch.texts), int((batch.words != NO_WORD).sum())
        # Gradients are averaged over processes: each loss counts by its share of all clips, or of all frames.
        all_clips, all_ctc, all_frames = parallel.summed(clips, clips * ctc.item(), frames, device=self.device)
        self.losses.append(all_ctc / all_clips)
        self.log("loss", ctc.detach(), prog_bar=True)
        loss = ctc * (parallel.processes() * clips / all_clips)
        if words is not None and all_frames:
            named = torch.nn.functional.cross_entropy(
                words.float().flatten(0, 1), batch.words.flatten(), ignore_index=NO_WORD, reduction="sum"
            )
            loss = loss + self.settings.word_weight * named * (parallel.processes() / all_frames)
        if not math.isfinite(loss.item()):
            raise GunileoError(
                f"{self.run}: the loss became {loss.item()} in epoch {self.current_epoch + 1}, batch {batch_idx + 1}; "
                "start again with a lower --learning-rate"
            )
        return loss

    def _ctc(self, log_probabilities: Tensor, batch: Batch) -> Tensor:
        loss: Tensor = self.ctc(log_probabilities.transpose(0, 1), batch.classes, batch.lengths, batch.target_lengths)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        log_probabilities, _ = heads(self.model, batch)
        loss = self._ctc(log_probabilities, batch).item()
        scores = zip(log_probabilities.cpu().numpy(), batch.lengths, strict=True)
        read = [greedy(own[: int(length)]).text for own, length in scores]
        self.tested[list(self._test_batches())[batch_idx]] = loss, list(zip(batch.texts, read, strict=True))

    def on_validation_epoch_end(self) -> None:
        tested = [batch for _, batch in sorted(parallel.gathered(self.tested).items())]
        pairs = [pair for _, own in tested for pair in own]
        said, read = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        row = {
            "epoch": self.current_epoch + 1,
            "train_loss": float(np.mean(self.losses)),
            "val_loss": float(np.mean([loss for loss, _ in tested])),
            "val_wer": wer(said, read),
            "val_cer": cer(said, read),
        }
        self.log_dict({name: value for name, value in row.items() if name != "epoch"}, prog_bar=False)
        self.blank = not any(read)
        if parallel.is_first():
            if self.progress:
                self.progress(self.current_epoch + 1, self.settings.epochs)
            else:
                _report(row, self.settings.epochs, pairs, self.blank)
            rows = record(self.run / "metrics.csv", row)
            draw(rows, self.run / "curve.png")
        self.losses, self.tested = [], {}


def _report(row: dict[str, float], epochs: int, pairs: Sequence[tuple[str, str]], blank: bool) -> None:
    print(
        f"\nepoch {row['epoch']}/{epochs}  loss {row['train_loss']:.3f}  validation loss {row['val_loss']:.3f}  "
        f"WER {row['val_wer']:.3f}  CER {row['val_cer']:.3f}"
    )
    for said, read in pairs[:: max(1, len(pairs) // 2)][:2]:  # the first and the middle one
        print(f"  said {said!r}\n  read {read!r}")
    if blank:
        print("  every output is blank; this is usual in the first epochs, and a fault later on")
