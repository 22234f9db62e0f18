"""Training LabialCNN on a cache of prepared clips: one run, from its settings to its model."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.decoding.ctc import ctc_frames
from gunileo.errors import GunileoError, Stopped
from gunileo.training import memory, parallel
from gunileo.training.checkpoint import stopped_at
from gunileo.training.config import TrainingConfig
from gunileo.training.lightning_module import Training
from gunileo.training.result import finish
from gunileo.training.trainer import trainer
from gunileo.util.files import write_whole
from gunileo.util.interrupt import ctrl_c_sets


def train(
    cache: Cache,
    training: Sequence[CachedUtterance],
    validation: Sequence[CachedUtterance],
    run: Path,
    settings: TrainingConfig | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Train, test after each epoch, and write the model and its logs to the folder ``run``.

    During the run it writes settings.json, clips.json (the clips trained and validated on), metrics.csv, curve.png,
    TensorBoard events, last.ckpt (for ``resume``) and best.ckpt (lowest validation word error rate). At the end it
    writes model.safetensors and model.onnx of the best epoch, or of the last with ``keep_last``, and fallback.onnx if
    the initial model stays as a fallback. Returns the path of model.safetensors. If ``progress`` is given, it is called
    with the number of finished epochs and of all epochs, and nothing is printed. An error that it raises ends the run.

    Raises ``GunileoError`` if ``run`` holds another run, if there are no clips to train or validate on, if the loss
    becomes infinite or NaN, if every output is still blank at the end, or if ``run`` can't be written to; ``Stopped``
    on Ctrl-C.
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
    _fit(trainer(run, settings, best, silent=progress is not None), fit, stopped_at(run) if resume else None)
    if not parallel.is_first():
        return run / "model.safetensors"
    return finish(fit, run, run / "last.ckpt" if settings.keep_last else Path(best.best_model_path))


def _fit(loop: lightning.Trainer, fit: Training, checkpoint: Path | None) -> None:
    """All epochs, or those after a checkpoint."""
    try:
        with ctrl_c_sets(fit.ended), memory.kept():
            loop.fit(fit, ckpt_path=checkpoint, weights_only=True)
    except (SystemExit, RuntimeError) as ending:  # Lightning's way to end on Ctrl-C, or of loaders that it broke off
        if isinstance(ending, RuntimeError) and not fit.ended.is_set():
            raise
        raise Stopped(f"{fit.run}: stopped; go on with --resume") from None
    except OSError as error:
        reason = f"can't be written ({error.strerror}); free some space and go on with --resume"
        raise GunileoError(f"{fit.run}: {reason}") from error
    finally:
        fit.looks_file.unlink(missing_ok=True)


def _begin(run: Path, settings: TrainingConfig, parts: dict[str, Sequence[CachedUtterance]], resume: bool) -> None:
    """Write the settings and clips of a new run; check that a resumed run has the same."""
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
        some = ", ".join(left[:5])
        print(f"left out {len(left)} clips that have no text, or fewer frames than their text needs: {some}")
    if not kept:
        raise GunileoError("no clips to train or to validate on; check the cache and the split")
    return kept
