"""``gunileo calibrate``: learn how far a model can be trusted."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gunileo.cli.options import complain, listed, with_crops
from gunileo.errors import GunileoError

if TYPE_CHECKING:
    from gunileo.evaluation.calibrate import Example
    from gunileo.inference.reader import Reader


def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Imported model, a run's folder, or an .onnx file.")],
    source: Annotated[
        Path, typer.Argument(metavar="CLIPS", help="Folder of clips with their texts, or a prepared cache.")
    ],
    split: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="List of utterances or speakers, one on each line. By default all."),
    ] = None,
) -> None:
    """Learn how far a model can be trusted, from clips that it was not trained on.

    \b
      gunileo calibrate lrs3 clips/

    Afterwards about four in five of the words with a confidence of 0.8 are right, on clips like these. A guess is
    marked "not sure:". The calibration is kept in a file beside the model's. The clips need their texts. The model has
    to read twenty of them well. At most a hundred are used.
    """
    from gunileo.decoding.ctc import DECODERS
    from gunileo.evaluation.calibrate import calibrate_on
    from gunileo.inference import registry
    from gunileo.inference.confidence import FEWEST, calibration_file, store_calibrations
    from gunileo.inference.load import load_model
    from gunileo.util.progress import progress

    if registry.shipped(model):
        raise GunileoError(f"{model}: comes with its calibration; give an imported model, a run or an .onnx file")
    reader = load_model(model)
    examples = _examples(reader, source, listed(split) if split else None)
    with progress("calibrating") as bar:
        learnt = calibrate_on(reader, examples, bar, complain)
    if not learnt:
        raise GunileoError(
            f"{source}: {model} reads fewer than {FEWEST} of these clips well; give clips that it can read"
        )
    store_calibrations(reader.session.path, reader.checksum, learnt)
    left = ", ".join(how for how in DECODERS if how not in learnt)
    typer.echo(f"{calibration_file(reader.session.path)}: learnt for {', '.join(learnt)}")
    if left:
        typer.echo(f"not learnt for {left}: too few clips were read well")


def _examples(reader: Reader, source: Path, names: list[str] | None) -> list[Example]:
    """The clips of a cache or of a corpus, those of the list ``names`` if there is one, as the reader takes them."""
    from gunileo.cli.clips import clips_in
    from gunileo.corpus.split import split
    from gunileo.corpus.videos import Videos

    clips = clips_in(source, reader)
    if isinstance(clips, Videos):
        videos = clips.utterances if names is None else split(clips.utterances, names)
        return [(partial(clips.load, one), one.text) for one in videos]
    utterances = with_crops(clips) if names is None else split(with_crops(clips), names)
    return [(partial(clips.load, one), one.text) for one in utterances]
