"""Training LabialCNN on a cache of prepared clips: losses, curriculum, logs, checkpoints, resume."""

from __future__ import annotations

import json
import logging
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.grid import BLANK, is_grid
from gunileo.corpus.labels import WordTime
from gunileo.decoding.ctc import ctc_frames, greedy
from gunileo.errors import GunileoError, Stopped
from gunileo.evaluation.metrics import cer, wer
from gunileo.inference.registry import FALLBACK
from gunileo.training import memory, parallel
from gunileo.training.alignment import Times, pseudo_align
from gunileo.training.checkpoint import WholeCheckpoints, state_of, stopped_at
from gunileo.training.config import TrainingConfig
from gunileo.training.dataset import NO_WORD, Batch, Clips, Draws, LikeWithLike, Shapes, collate
from gunileo.training.history import draw, record
from gunileo.training.initialise import network
from gunileo.training.looks import Looks, keep
from gunileo.training.sampling import balanced, evened, silences
from gunileo.training.weights import heads, load_weights, save_model
from gunileo.util.files import write_whole
from gunileo.util.interrupt import ctrl_c_sets
from gunileo.util.progress import progress


def train(
    cache: Cache,
    training: Sequence[CachedUtterance],
    validation: Sequence[CachedUtterance],
    run: Path,
    settings: TrainingConfig | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Train, test after each epoch, and leave in ``run`` the best model and how it came about.

    ``run`` gets settings.json, clips.json (what was trained and validated on), metrics.csv, curve.png,
    TensorBoard events, last.ckpt (for ``resume``), best.ckpt (lowest validation word error rate) and, at the end,
    model.safetensors and model.onnx of the best epoch, or the last (``keep_last``), and fallback.onnx, the initial
    model, if that stays as a fallback. Returns the path of model.safetensors. ``progress`` is called with the epochs
    done and all of them, in place of what is printed otherwise; what it raises ends the run.

    Raises ``GunileoError`` if ``run`` holds another run, there is nothing to train or validate on, the loss is
    no number, or every answer is still blank at the end; ``Stopped`` on Ctrl-C.
    """
    settings = settings or TrainingConfig()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # hardware that is not there, and advertising
    warnings.filterwarnings("ignore", module="lightning")  # more workers, an existing folder: both meant
    lightning.seed_everything(settings.seed, verbose=False)
    training, validation = (
        [one for one in part if settings.shapes or one.has_crops] for part in (training, validation)
    )
    fit = Training(cache, _spellable(training), _spellable(validation), run, settings)
    fit.progress = progress
    if parallel.is_first():  # what failed so far is no run
        _begin(run, settings, {"training": training, "validation": validation}, resume)
    best = ModelCheckpoint(run, "best", "val_wer", enable_version_counter=False)
    trainer = _trainer(run, settings, best, silent=progress is not None)
    try:
        with ctrl_c_sets(fit.ended), memory.kept():
            trainer.fit(fit, ckpt_path=stopped_at(run) if resume else None, weights_only=True)
    except (SystemExit, RuntimeError) as ending:  # Lightning's way to end on Ctrl-C, or of loaders that it broke off
        if isinstance(ending, RuntimeError) and not fit.ended.is_set():
            raise
        raise Stopped(f"{run}: stopped; go on with --resume") from None
    except OSError as error:
        reason = f"can't be written ({error.strerror}); free some space and go on with --resume"
        raise GunileoError(f"{run}: {reason}") from error
    finally:
        if fit.looks:
            fit.looks.path.unlink()
    if not parallel.is_first():
        return run / "model.safetensors"
    return _finish(fit, run, run / "last.ckpt" if settings.keep_last else Path(best.best_model_path))


def _trainer(run: Path, settings: TrainingConfig, best: ModelCheckpoint, silent: bool) -> lightning.Trainer:
    # Its own save_last would keep the last that was also the best, and a resumed run would lose all after it.
    last = ModelCheckpoint(run, "last", enable_version_counter=False)
    device = settings.device
    if device == "auto":  # not Apple's, which has no CTC loss
        device = "cuda" if torch.cuda.is_available() else "cpu"
    here, machines = parallel.launched()
    return lightning.Trainer(
        accelerator=device,
        devices=here,
        num_nodes=machines,
        # A batch without words' times leaves the head that names words unused.
        strategy="ddp_find_unused_parameters_true" if here * machines > 1 else "auto",
        use_distributed_sampler=False,  # it knows no batches such as ours, which share themselves out
        precision=_precision(settings.precision, device),  # type: ignore[arg-type]
        max_epochs=settings.epochs,
        gradient_clip_val=settings.gradient_clip,
        logger=TensorBoardLogger(run, name="", version="tensorboard"),
        callbacks=[best, last] if silent else [best, last, _Bar(refresh_rate=5 if sys.stdout.isatty() else 0)],
        enable_progress_bar=not silent,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        reload_dataloaders_every_n_epochs=1,  # each epoch has its own spans
        enable_model_summary=False,
        plugins=[WholeCheckpoints()],
    )


def _begin(run: Path, settings: TrainingConfig, parts: dict[str, Sequence[CachedUtterance]], resume: bool) -> None:
    """Write down what a new run is made of; check that a resumed one is made of the same."""
    contents = {
        "settings.json": json.dumps(asdict(settings), indent=1),
        "clips.json": json.dumps({name: [clip.id for clip in clips] for name, clips in parts.items()}, indent=1),
    }
    if (run / "settings.json").exists() and not resume:
        raise GunileoError(f"{run}: holds a run already; add --resume to go on with it, or name another folder")
    for name, content in contents.items():
        path = run / name
        if path.exists() and path.read_text(encoding="utf-8") != content:
            raise GunileoError(f"{run}: was started with other {path.stem} ({name}); repeat those or name a new folder")
        write_whole(path, content)


def _spellable(utterances: Sequence[CachedUtterance]) -> list[CachedUtterance]:
    """Utterances long enough to be spelled by CTC; a shorter one has an infinite loss."""
    kept = [utterance for utterance in utterances if utterance.frames >= ctc_frames(utterance.text) > 0]
    if len(kept) < len(utterances):
        left = sorted({u.id for u in utterances} - {u.id for u in kept})
        print(f"left out {len(left)} clips that are shorter than their spelling, or have none: {', '.join(left[:5])}")
    if not kept:
        raise GunileoError("no clips to train or to validate on; check the cache and the split")
    return kept


def _precision(wanted: str, device: str) -> str:
    if wanted != "auto":
        return wanted
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"


def _finish(fit: Training, run: Path, kept: Path) -> Path:
    """Write one epoch's model, as weights to train on and as ONNX, with its calibration and timing, to read with."""
    from gunileo.training.export import export_onnx

    state = state_of(kept)["state_dict"]
    fit.model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    # One that was taught other sentences has nothing to leave to a model of GRID's.
    if fit.settings.fallback and all(is_grid(utterance.text) for utterance in fit.train_part):
        write_whole(run / FALLBACK, Path(fit.settings.init).with_suffix(".onnx").read_bytes())
    save_model(fit.model, run / "model.safetensors")
    export_onnx(load_weights(run / "model.safetensors"), run / "model.onnx")
    if fit.blank and not fit.settings.init:  # what a trained one makes of a few clips may well be nothing
        raise GunileoError(f"{run}: every answer is still blank; train for more epochs, or on clips with word times")
    _calibrate(fit, run / "model.onnx")
    return run / "model.safetensors"


def _calibrate(fit: Training, onnx: Path) -> None:
    """Learn from the validation clips how far a model can be trusted and how it times words.

    With too few of them, a run that was initialised from a model carries on that one's: learnt from other clips, and
    likely of another speaker, but a guess is told from a reading still, where no calibration would be sure of
    everything.
    """
    from gunileo.evaluation.calibrate import calibrate
    from gunileo.evaluation.word_times import learn
    from gunileo.inference.reader import load_model
    from gunileo.training.export import describe_calibration

    reader = load_model(onnx)
    held = [utterance for utterance in fit.val_part if utterance.has_crops]
    with nullcontext() if fit.progress else progress("calibrating") as bar:  # one bar at a time
        calibrations = calibrate(reader, fit.cache, held, bar)
    times = learn(reader, fit.cache, held)
    if fit.settings.init and (initial := Path(fit.settings.init).with_suffix(".onnx")).exists():
        first = load_model(initial)
        if first.shapes == reader.shapes:  # else only its convolutions were taken
            calibrations, times = {**first.calibrations, **calibrations}, times or first.timing
    describe_calibration(onnx, calibrations, times)


class _Bar(TQDMProgressBar):
    """Lightning's bar with epochs counted from one, as in all our figures, and without its run's number."""

    def on_train_epoch_start(self, trainer: lightning.Trainer, *rest: Any) -> None:
        super().on_train_epoch_start(trainer, *rest)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}


class Training(lightning.LightningModule):
    """The training and the test loop over one cache."""

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
        self.model = network(settings, self.words)
        self.words = self.model.config.words or self.words
        if settings.frozen:
            self.model.convolutions.requires_grad_(False)
        self.ctc = torch.nn.CTCLoss(blank=BLANK)
        self.losses: list[float] = []  # of the batches trained on
        self.tested: dict[int, tuple[float, list[tuple[str, str]]]] = {}  # loss, said and read, of each test batch
        self.times: Times = {}  # pseudo-alignments of clips that came without word times
        self.blank = False
        self.ended = Event()  # by Ctrl-C
        self.progress: Callable[[int, int], None] | None = None
        self.looks: Looks | None = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Or a run that was stopped after that epoch would forget.
        checkpoint["blank"] = self.blank
        checkpoint["times"] = {name: [[*asdict(word).values()] for word in words] for name, words in self.times.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.blank = bool(checkpoint.get("blank"))
        times = checkpoint.get("times", {})
        self.times = {name: tuple(WordTime(*word) for word in words) for name, words in times.items()}

    def clips(self, epoch: int) -> Clips:
        """The training clips as one epoch sees them: spans of a few words, hardly changed, at first.

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

    def on_fit_start(self) -> None:
        settings = self.settings
        if settings.looks:
            crops = [utterance for utterance in self.train_part if utterance.has_crops]
            self.model.convolutions.eval()
            with self.trainer.precision_plugin.forward_context():
                self.looks = keep(
                    self.run / f"looks-{parallel.number()}.npy",
                    self.cache,
                    crops,
                    self.model,
                    settings.augmentation,
                    settings.looks,
                    settings.seed,
                )

    def on_train_epoch_start(self) -> None:
        if self.settings.frozen:
            self.model.convolutions.eval()  # the normalisation's running means stay, too

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
        return DataLoader(clips, batch_sampler=batches, collate_fn=together, num_workers=self.settings.workers)

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
    for said, read in (pairs[0], pairs[len(pairs) // 2]):
        print(f"  said {said!r}\n  read {read!r}")
    if blank:
        print("  every answer is blank: usual in the first epochs, a fault if it stays")
