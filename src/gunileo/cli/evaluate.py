"""``gunileo evaluate``: measure a model on clips whose texts are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gunileo.cli.clips import clips_in, with_crops
from gunileo.cli.complaints import complain
from gunileo.cli.decoding import loaded
from gunileo.cli.options import Beam, CtcWeight, Grammar, LmWeight, Model
from gunileo.errors import GunileoError
from gunileo.inference.registry import DEFAULT

if TYPE_CHECKING:
    from gunileo.corpus.cache import Cache, CachedUtterance
    from gunileo.corpus.finders import Utterance
    from gunileo.decoding.grammar import Grammar as Rules
    from gunileo.evaluation.evaluate import Evaluation
    from gunileo.inference.reader import Reader

    _Clip = TypeVar("_Clip", CachedUtterance, Utterance)

_Clips = Annotated[
    Path,
    typer.Argument(metavar="CLIPS", help="Prepared cache, or a folder of clips with their texts."),
]
_Split = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="List of utterances or speakers, one on each line, or a list of the package, such as grid_s1_valid.",
    ),
]
_Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results of each clip.")]
_Report = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write a page with charts, the worst clips and more.")
]


def evaluate(
    clips: _Clips,
    model: Model = DEFAULT,
    split: _Split = None,
    grammar: Grammar = None,
    beam: Beam = None,
    ctc_weight: CtcWeight = None,
    lm_weight: LmWeight = None,
    json: _Json = None,
    report: _Report = None,
) -> None:
    """Measure a model on clips whose texts are known.

    \b
      gunileo evaluate caches/s1 --split grid_s1_valid
      gunileo evaluate caches/mine --model runs/mine --grammar commands.txt --report report

    Prints word and character error rates with their 95 % intervals, per-slot accuracy, each speaker's error rates
    and the commonest confusions. --report writes the page DIR/index.html, and its results as DIR/report.json.

    In a folder, the face in each clip is followed first. For an imported model that is also done with a cache, from
    the videos that it was made of. A clip that can't be read is named on standard error. The others are measured, and
    the exit code is 1. --report needs the crops of a cache.
    """
    from gunileo.corpus.videos import Videos
    from gunileo.decoding.grammar import Grammar as Rules
    from gunileo.evaluation.evaluate import evaluate as run
    from gunileo.util.files import write_whole
    from gunileo.util.progress import progress

    reader = loaded(model, weights=(beam, ctc_weight, lm_weight))
    opened, failed = clips_in(clips, reader), list[GunileoError]()
    if report and isinstance(opened, Videos):
        raise GunileoError(f"{clips}: --report needs the crops of a cache, and these are videos; use --json")
    rules = Rules.from_file(grammar, reader.vocabulary) if grammar else None

    def skip(error: GunileoError) -> None:
        complain(error)
        failed.append(error)

    with progress("reading") as bar:
        if isinstance(opened, Videos):
            evaluation = run(reader, opened, _chosen(opened.utterances, split, clips), bar, rules, skip)
        else:
            utterances = _chosen(_with_crops(opened), split, clips)
            evaluation = run(reader, opened, utterances, bar, rules)
    typer.echo(evaluation.to_text(), nl=False)
    if json:
        write_whole(json, evaluation.to_json())
    if report and not isinstance(opened, Videos):
        _report(evaluation, reader, opened, utterances, rules, report)
    raise typer.Exit(1 if failed else 0)


def _report(
    evaluation: Evaluation,
    reader: Reader,
    cache: Cache,
    utterances: list[CachedUtterance],
    rules: Rules | None,
    folder: Path,
) -> None:
    from gunileo.evaluation.analysis import measure
    from gunileo.evaluation.report import write_report
    from gunileo.util.progress import progress

    with progress("looking closer") as bar:
        results = measure(evaluation, reader, cache, utterances, bar, rules)
    write_report(results, cache, folder)
    typer.echo(f"{folder / 'index.html'}")


def _with_crops(cache: Cache) -> list[CachedUtterance]:
    """The utterances of a cache that have crops; prints how many have none."""
    utterances = with_crops(cache)
    if shapes := len(cache.utterances) - len(utterances):
        typer.echo(f"{shapes} clips are left out, as they have only the mouth's shape")
    return utterances


def _chosen(utterances: list[_Clip], split: str | None, path: Path) -> list[_Clip]:
    """The utterances that a list names, all if there is no list; prints how many are not there."""
    from gunileo.corpus.split import listed
    from gunileo.corpus.split import split as chosen

    if not split:
        return utterances
    names = listed(split)
    utterances = chosen(utterances, names)
    here = {name for utterance in utterances for name in (utterance.id, utterance.speaker)}
    if missing := set(names) - here:
        typer.echo(f"{len(missing)} of the {len(set(names))} in the list are not in {path}")
    return utterances
