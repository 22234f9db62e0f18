"""``gunileo evaluate``: measure a model on a cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gunileo.cli.options import CacheFolder, Grammar, Model, filled, listed, with_crops
from gunileo.inference.registry import DEFAULT

if TYPE_CHECKING:
    from gunileo.corpus.cache import Cache, CachedUtterance

_Split = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="List of utterances or speakers, one a line; or a list of the package, such as grid_s1_valid.",
    ),
]


def evaluate(
    cache: CacheFolder,
    model: Model = DEFAULT,
    split: _Split = None,
    grammar: Grammar = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results of each clip.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a page with charts, the worst clips and more.")
    ] = None,
) -> None:
    """Measure a model on a cache.

    \b
      gunileo evaluate caches/s1 --split grid_s1_valid
      gunileo evaluate caches/mine --model runs/mine --grammar commands.txt --report report

    Prints word and character error rates with their 95 % intervals, per-slot accuracy, each speaker's error rates
    and the commonest confusions. --report writes the page DIR/index.html, and its results as DIR/report.json.
    """
    from gunileo.decoding.grammar import Grammar as Rules
    from gunileo.evaluation.evaluate import evaluate as run
    from gunileo.inference.load import load_model
    from gunileo.util.files import write_whole
    from gunileo.util.progress import progress

    reader, opened = load_model(model), filled(cache)
    rules = Rules.from_file(grammar, reader.vocabulary) if grammar else None
    utterances = _chosen(opened, split)
    with progress("reading") as bar:
        evaluation = run(reader, opened, utterances, bar, rules)
    typer.echo(evaluation.to_text(), nl=False)
    if json:
        write_whole(json, evaluation.to_json())
    if report:
        from gunileo.evaluation.analysis import measure
        from gunileo.evaluation.report import write_report

        with progress("looking closer") as bar:
            results = measure(evaluation, reader, opened, utterances, bar, rules)
        write_report(results, opened, report)
        typer.echo(f"{report / 'index.html'}")


def _chosen(cache: Cache, split: str | None) -> list[CachedUtterance]:
    """The utterances with crops that a list names, all if there is no list; prints how many are not there."""
    from gunileo.corpus.split import split as chosen

    utterances = with_crops(cache)
    if shapes := len(cache.utterances) - len(utterances):
        typer.echo(f"{shapes} clips are left out: they have only the mouth's shape")
    if not split:
        return utterances
    names = listed(split)
    utterances = chosen(utterances, names)
    here = {name for utterance in utterances for name in (utterance.id, utterance.speaker)}
    if missing := set(names) - here:
        typer.echo(f"{len(missing)} of the {len(set(names))} in the list are not in {cache.path}")
    return utterances
