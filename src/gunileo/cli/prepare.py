"""``gunileo prepare``: cut the mouths of a corpus into a cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gunileo.cli.complaints import complain
from gunileo.cli.options import Address, By, Engine, check_address
from gunileo.errors import Stopped

if TYPE_CHECKING:
    from gunileo.corpus.finders import Corpus
    from gunileo.corpus.prepare import PrepareReport


_Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE", help="Folder of a corpus: GRID, Lombard GRID, MIRACL, or clips with labels beside them."
    ),
]


def prepare(
    source: _Source,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="CACHE", help="Folder for the mouth crops.")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes. By default one for each core.")
    ] = None,
    engine: By = Engine.local,
    address: Address = None,
) -> None:
    """Cut the mouth crops of a corpus into a cache.

    \b
      gunileo prepare clips -o caches/mine

    If it was stopped, run it again to go on. CACHE/corpus.txt lists every clip and label without a partner, and every
    file that was skipped. The exit code is 1 if a clip was skipped, or if less than half of the videos could be used.
    """
    from gunileo.corpus.finders import find_corpus
    from gunileo.corpus.prepare import prepare as run
    from gunileo.util.progress import progress

    check_address(address, engine)
    elsewhere = None
    if engine == Engine.ray:
        from gunileo.corpus.prepare_ray import on_ray

        elsewhere = on_ray(address, workers)
    corpus = find_corpus(source)
    typer.echo(corpus.summary())
    try:
        with progress("preparing") as bar:
            report = run(corpus.utterances, output, workers, bar, elsewhere)
    except KeyboardInterrupt:
        raise Stopped(f"{output}: stopped; prepared clips are kept, run the same command to go on") from None
    raise typer.Exit(_report(source, output, corpus, report))


def _report(source: Path, output: Path, corpus: Corpus, report: PrepareReport) -> int:
    """Print what was prepared and what wasn't, and write corpus.txt; returns the exit code."""
    from gunileo.util.files import write_whole

    skipped = [*((str(path), reason) for path, reason in corpus.rejected), *report.skipped]
    write_whole(output / "corpus.txt", corpus.summary(names=None) + "\n")
    typer.echo(f"{report.done} prepared, {report.kept} kept from before, {len(skipped)} skipped")
    width = max((len(name) for name, _ in skipped), default=0)
    for name, reason in skipped:
        complain(f"{name:{width}}  {reason}")
    usable = report.done + report.kept
    if 2 * usable < corpus.videos - len(skipped):  # those that were skipped have their lines
        some = f"only {usable}" if usable else "none"
        complain(f"{source}: {some} of {corpus.videos} videos could be used; see {output / 'corpus.txt'}")
    return 1 if skipped or 2 * usable < corpus.videos else 0
