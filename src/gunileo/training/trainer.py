"""Lightning's trainer as a run needs it: device, machines, precision, checkpoints, progress bar."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from gunileo.training import parallel
from gunileo.training.checkpoint import WholeCheckpoints
from gunileo.training.config import TrainingConfig


def trainer(run: Path, settings: TrainingConfig, best: ModelCheckpoint, silent: bool) -> lightning.Trainer:
    """The trainer of a run; it keeps the last epoch's checkpoint and, by ``best``, the best one's."""
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
        precision=precision(settings.precision, device),  # type: ignore[arg-type]
        max_epochs=settings.epochs,
        gradient_clip_val=settings.gradient_clip,
        logger=TensorBoardLogger(run, name="", version="tensorboard"),
        callbacks=[best, last] if silent else [best, last, _EpochBar(refresh_rate=5 if sys.stdout.isatty() else 0)],
        enable_progress_bar=not silent,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        reload_dataloaders_every_n_epochs=1,  # each epoch has its own spans
        enable_model_summary=False,
        plugins=[WholeCheckpoints()],
    )


def precision(wanted: str, device: str) -> str:
    """Lightning's name of a precision; of "auto" bfloat16 where the processor or the graphics card has it."""
    if wanted != "auto":
        return wanted
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"


class _EpochBar(TQDMProgressBar):
    """Lightning's bar with epochs counted from one, as in all our figures, and without its run's number."""

    def on_train_epoch_start(self, trainer: lightning.Trainer, *rest: Any) -> None:
        super().on_train_epoch_start(trainer, *rest)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}
