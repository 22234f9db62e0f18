"""What a run leaves: the model of one epoch, with its calibration and its word times."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from gunileo.corpus.grid import is_grid
from gunileo.errors import GunileoError
from gunileo.inference.registry import FALLBACK
from gunileo.training.checkpoint import state_of
from gunileo.training.lightning_module import Training
from gunileo.training.weights import load_weights, save_model
from gunileo.util.files import write_whole
from gunileo.util.progress import progress


def finish(fit: Training, run: Path, kept: Path) -> Path:
    """Write the model of checkpoint ``kept``, as weights to train on and as calibrated ONNX to read with.

    Returns the path of the weights. Raises ``GunileoError`` if a model that was trained from scratch reads nothing.
    """
    from gunileo.training.export import export_onnx

    state = state_of(kept)["state_dict"]
    fit.model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    # One that was taught other sentences has nothing to leave to a model of GRID's.
    if fit.settings.fallback and all(is_grid(utterance.text) for utterance in fit.train_part):
        write_whole(run / FALLBACK, Path(fit.settings.init).with_suffix(".onnx").read_bytes())
    save_model(fit.model, run / "model.safetensors")
    export_onnx(load_weights(run / "model.safetensors"), run / "model.onnx")
    if fit.blank and not fit.settings.init:  # what a trained one makes of a few clips may well be nothing
        raise GunileoError(f"{run}: every output is still blank; train for more epochs, or on clips with word times")
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
    from gunileo.inference.load import load_model
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
