"""The verbs about networks: ``train``, ``evaluate``, ``export``, ``models``, ``summary``, ``bench``, ``demo``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gunileo.arguments import Grammar, Model, filled, listed
from gunileo.errors import GunileoError, Stopped
from gunileo.registry import BEFORE, DEFAULT


class _Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class _Layout(StrEnum):
    labial = "labial"
    wide = "labial-wide"


_CacheFolder = Annotated[Path, typer.Argument(metavar="CACHE", help="Folder that 'gunileo prepare' made.")]
_Split = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="List of utterances or talkers, one a line; or a shipped one: grid_s1_valid."),
]


def train(
    cache: _CacheFolder,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="RUN", help="Folder for the model and its logs.")],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Utterances to validate on, a list as for evaluate; a tenth of each talker's, by hash, if left out.",
        ),
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="FILE", help="Utterances to train on; the rest, if none.")] = None,
    leave_out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Utterances to keep away from training, such as a test list.")
    ] = None,
    talkers: Annotated[str | None, typer.Option(metavar="s1,s2", help="Talkers to train on; all, if none.")] = None,
    layout: Annotated[
        _Layout | None, typer.Option(help="The published one, or that of the better shipped model; labial if left out.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="60 if left out.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="16 if left out.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="Peak of the one cycle; 0.001 if left out.")
    ] = None,
    dropout: Annotated[float | None, typer.Option(min=0, max=1, help="Between the GRUs; 0.5 if left out.")] = None,
    device: Annotated[_Device, typer.Option(help="auto: CUDA if there.")] = _Device.auto,
    seed: Annotated[int, typer.Option()] = 0,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|RUN",
            help="Shipped model to adapt to new talkers, with settings of its own; or a finished run to begin from.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Train LabialCNN on a cache and test it after each epoch.

    \b
      gunileo train caches/mine -o runs/mine
      gunileo train caches/me -o runs/me --init labial-wide

    With --init labial that shipped model learns a face from five to twenty clips, in minutes and part of the
    way; it has settings of its own for that, where none are given.
    """
    from gunileo.cores import sleep_while_waiting

    sleep_while_waiting()
    from collections import Counter
    from dataclasses import replace

    import torch

    from gunileo.adapt import settings_from
    from gunileo.corpus import training_parts
    from gunileo.model import LAYOUTS
    from gunileo.parallel import is_first
    from gunileo.settings import laid_out
    from gunileo.train import train as run

    if device == _Device.cuda and not torch.cuda.is_available():
        raise typer.BadParameter("no CUDA device can be used here; use cpu", param_hint="--device")
    opened = filled(cache)
    away = set(listed(leave_out)) if leave_out else set()
    training, validation = training_parts(
        opened.utterances,
        listed(split) if split else None,
        listed(only) if only else None,
        away,
        talkers.split(",") if talkers else None,
    )
    if init and layout:
        raise typer.BadParameter(f"{init} has a layout of its own; leave this out", param_hint="--layout")
    of_each = Counter(clip.talker for clip in training)
    fewest = min(of_each.values(), default=0)
    settings = settings_from(init, len(of_each), fewest) if init else laid_out(LAYOUTS[layout or _Layout.labial])

    def say(line: str) -> None:
        if is_first():
            typer.echo(line)

    say(f"{len(training)} clips to train on, {len(validation)} to validate on")
    if init and len(of_each) > 1:  # the talker with the fewest says how much is learnt: a stray one should be seen
        counts = ", ".join(f"{name or '-'} {count}" for name, count in of_each.items())
        say(f"of each talker, to train on: {counts}")
    if leave_out:
        say(f"{sum(not away.isdisjoint({clip.id, clip.talker}) for clip in opened.utterances)} clips left out")
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "dropout": dropout}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = replace(settings, device=device.value, seed=seed, **chosen)  # type: ignore[arg-type]
    kept = "last" if settings.keep_last else "best"
    try:
        model = run(opened, training, validation, output, settings, resume)
    except KeyboardInterrupt:
        raise Stopped(f"{output}: stopped; go on with --resume") from None
    say(f"{model}: the {kept} epoch's model{f', {init} beside it' if (output / BEFORE).exists() else ''}")


def evaluate(
    cache: _CacheFolder,
    model: Model = DEFAULT,
    split: _Split = None,
    grammar: Grammar = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all of it, clip by clip.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a page with charts, the worst clips and more.")
    ] = None,
) -> None:
    """Measure a model on a cache.

    \b
      gunileo evaluate caches/s1 --split grid_s1_valid
      gunileo evaluate caches/mine --model runs/mine --grammar commands.txt --report report

    Prints word and character error rates with their 95 % intervals, accuracy by place, each talker's error rates
    and the commonest confusions. DIR/index.html holds all that it shows, DIR/report.json its figures.
    """
    from gunileo.corpus import split as chosen
    from gunileo.engine import load_model
    from gunileo.evaluate import evaluate as run
    from gunileo.evaluate import to_json, to_text
    from gunileo.files import write_whole
    from gunileo.grammar import Grammar as Rules
    from gunileo.progress import progress

    rules = Rules.from_file(grammar) if grammar else None
    reader, opened = load_model(model), filled(cache)
    utterances = opened.utterances
    if split:
        names = listed(split)
        utterances = chosen(utterances, names)
        here = {name for utterance in utterances for name in (utterance.id, utterance.talker)}
        if missing := set(names) - here:
            typer.echo(f"{len(missing)} of the {len(set(names))} that are listed are not in {cache}")
    with progress("reading") as bar:
        evaluation = run(reader, opened, utterances, bar, rules)
    typer.echo(to_text(evaluation), nl=False)
    if json:
        write_whole(json, to_json(evaluation))
    if report:
        from gunileo.figures import measure
        from gunileo.report import write_report

        with progress("looking closer") as bar:
            figures = measure(evaluation, reader, opened, utterances, bar, rules)
        write_report(figures, opened, report)
        typer.echo(f"{report / 'index.html'}")


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL|RUN", help="Shipped model, or a finished run's folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.onnx", help="The file to write.")],
) -> None:
    """Write a model as an ONNX file that any ONNX runtime can use.

    \b
      gunileo export runs/mine -o mine.onnx

    It is checked against PyTorch. Its metadata are classes, frame rate, region size, normalisation and the model's
    card.
    """
    from gunileo.export import export_model

    difference = export_model(model, output)
    typer.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB, differs from PyTorch by {difference:.1g} at most")


def models() -> None:
    """List the models that are here, and what to expect of them.

    \b
      gunileo models

    They are those that come with the package, and those that you taught.
    """
    from gunileo.registry import available_models, taught_models

    found = available_models()
    if not found:
        raise GunileoError("no models come with this installation; reinstall gunileo, or give --model an .onnx file")
    for info in found:
        typer.echo(
            f"{info.name}\n"
            f"  parameters          {info.parameters / 1e6:.1f} million\n"
            f"  word error rate     {info.wer_greedy:.1%} greedy, {info.wer_grammar:.1%} with the grammar\n"
            f"  character error     {info.cer_greedy:.1%} greedy, {info.cer_grammar:.1%} with the grammar\n"
            f"  measured on         {info.measured_on}\n"
            f"  time for a clip     {info.milliseconds:.0f} ms of three seconds, mouth regions given\n"
            f"  trained on          {info.trained_on}\n"
            f"  size                {info.bytes[info.file] / 1e6:.1f} MB\n"
            f"  licence             {info.licence}\n"
            f"  attribution         {info.attribution}"
        )
    for model in taught_models():
        typer.echo(model.summary())


def summary() -> None:
    """Print LabialCNN layer by layer.

    \b
      gunileo summary
    """
    import torchinfo

    from gunileo.model import LabialCNN
    from gunileo.mouth import HEIGHT, WIDTH

    columns = ("input_size", "output_size", "num_params", "kernel_size", "mult_adds")
    size = (1, 1, 75, HEIGHT, WIDTH)  # one clip of GRID
    typer.echo(str(torchinfo.summary(LabialCNN(), size, col_names=columns, depth=4, device="cpu", verbose=0)))


def bench(
    clip: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Video of about three seconds; a made-up face if left out.")
    ] = None,
    model: Model = DEFAULT,
) -> None:
    """Measure how fast this machine reads lips.

    \b
      gunileo bench --clip talk.mp4

    Prints the median and the range of nine runs each: the machine's matrix product, reading, the network, a camera,
    a cold start. Without a clip it needs the extra "train".
    """
    from tempfile import TemporaryDirectory

    from gunileo.bench import measure

    with TemporaryDirectory() as folder:
        for figure in measure(clip or _made_up(Path(folder)), model):
            typer.echo(f"{figure.name:<30}{figure.median:8.3g} {figure.unit:<12}({figure.range})")


def _made_up(folder: Path) -> Path:
    try:
        from gunileo.synthetic import make_corpus

        return make_corpus(folder, ["bbaf2n"])[0]
    except ModuleNotFoundError as error:
        how = 'give --clip FILE, or run: pip install "gunileo[train]"'
        raise GunileoError(f"{error.name} is not installed, which making a clip needs; {how}") from error


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for what it makes.")] = Path(
        "demo"
    ),
) -> None:
    """Do the whole job on a made-up talking face.

    \b
      gunileo demo -o demo

    Makes clips of an animated portrait, prepares them, trains, tests, and reads clips that were in no training.
    """
    from gunileo.demo import run

    try:
        run(output)
    except (KeyboardInterrupt, Stopped):
        raise Stopped(f"{output}: stopped; the next demo begins anew") from None
