"""``gunileo transcribe``: read the lips in videos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gunileo.cli.options import (
    Faces,
    Formats,
    Grammar,
    Job,
    LanguageModel,
    Lexicon,
    Model,
    Way,
    complain,
    find_jobs,
    formats_of,
    way,
)
from gunileo.errors import GunileoError, Stopped
from gunileo.inference.registry import DEFAULT
from gunileo.util.files import fitting

if TYPE_CHECKING:
    from gunileo.decoding.ctc import How
    from gunileo.decoding.grammar import Grammar as Rules
    from gunileo.inference.reader import Reader
    from gunileo.output.spoken import Spoken
    from gunileo.output.transcript import Transcript
    from gunileo.util.progress import Bar
    from gunileo.vision.face import Array, Face
    from gunileo.vision.timeline import Timeline
    from gunileo.vision.video import Frame


def transcribe(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Videos, folders of videos, patterns, or -.")],
    model: Model = DEFAULT,
    decode: Way = None,
    grammar: Grammar = None,
    lexicon: Lexicon = None,
    lm: LanguageModel = None,
    face: Annotated[Faces, typer.Option(help="Of several: which one, or all, each with a transcript.")] = Faces.largest,
    formats: Formats = None,
    burn: Annotated[bool, typer.Option("--burn", help="Write DIR/NAME.mp4 with the words drawn in.")] = False,
    fps: Annotated[
        float | None,
        typer.Option(
            min=1, max=1000, help="FILE is a folder of numbered pictures, or their pattern: so many a second."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Where to; this folder if only -f or --burn is given."),
    ] = None,
) -> None:
    """Read the lips in videos.

    \b
      gunileo transcribe talk.mp4
      gunileo transcribe clips/ more/*.mp4 -f srt,json -o read
      gunileo transcribe two.mp4 --face all --burn -o read
      gunileo transcribe pictures/ --fps 30
      ffmpeg -i rtsp://camera/ -f matroska - | gunileo transcribe -

    Prints the text of each file on a line of its own, with the file's name before it when there are several. A
    text that is a guess and no reading, as of a face that the model doesn't know or that says nothing, has
    "not sure:" before it; the exit code doesn't tell.

    With -o or -f also writes DIR/NAME.json, .srt, ...; clips of a folder keep their place below it. With --face all
    the names are NAME.left.json, NAME.right.json, ... where there are several faces, and NAME.json has what all of
    them say in order of time. A file that can't be read is
    reported on standard error, the others are done, and the exit code is 1.

    Of a long video each sentence is printed as it is read. If it is damaged, or Ctrl-C stops the work, what was read
    by then is written.
    """
    from gunileo.inference.reader import load_model
    from gunileo.util.progress import progress

    wanted = formats_of(formats) if formats or (output and not burn) else []
    how = way(decode, grammar, lexicon, lm, model)
    jobs, failed = find_jobs(files, fps is not None)
    if not jobs:
        raise typer.Exit(1)
    work = _Work(load_model(model), how, face, wanted, burn, output or Path(), len(jobs), fps or 25)
    taken: dict[Path, Path] = {}
    with progress("reading") as bar:
        for number, job in enumerate(jobs, 1):
            try:
                if (wanted or burn) and taken.setdefault(job.stem, job.path) != job.path:
                    raise GunileoError(
                        f"{job.path}: {work.output / job.stem} is {taken[job.stem]}'s; "
                        "rename one of them, or give their folder"
                    )
                failed |= work.do(job, number, bar)
            except KeyboardInterrupt:
                raise Stopped(f"{job}: stopped; what was read by then stays") from None
            except GunileoError as error:
                failed = True
                complain(error)
    raise typer.Exit(1 if failed else 0)


@dataclass(frozen=True)
class _Work:
    """What is to be done with each file."""

    reader: Reader
    how: tuple[How | None, Rules | None]
    face: Faces
    formats: list[str]
    burn: bool
    output: Path
    jobs: int
    fps: float  # of numbered pictures

    def do(self, job: Job, number: int, bar: Bar) -> bool:
        """Read a file, its ``number`` counted from one; whether one of several faces failed."""
        from gunileo.vision.pipe import kept

        title = f"{number}/{self.jobs} {job.path.name}" if self.jobs > 1 else job.path.name
        again = self.burn or self.face == Faces.all  # a pipe can be read once
        with kept(job.path) if again else nullcontext(job.path) as path:
            return self._do(replace(job, path=path, name=str(job)), title, bar)

    def _do(self, job: Job, title: str, bar: Bar) -> bool:
        from gunileo.output.transcript import together

        film = fitting(self.output / f"{job.stem}.mp4")
        if self.burn and job.path.exists() and film.exists() and film.samefile(job.path):
            raise GunileoError(f"{job}: would be written over; name another folder with -o")
        faces = self._faces(job, title, bar)
        read: dict[str, Spoken] = {}
        for name, face in faces.items():
            try:
                read[name] = self._read(job, name, face, bar, f"{title} {name}".rstrip())
            except GunileoError as error:
                if len(faces) == 1:
                    raise
                complain(error, f"{error} (the face named {name})")
        if len(faces) > 1 and read:
            self._write(job, "", together({name: spoken.transcript for name, spoken in read.items()}))
        if self.burn and read:
            self._burn(job, film, list(read.values()), bar, f"{title}, drawing")
        return len(read) < len(faces)

    def _faces(self, job: Job, title: str, bar: Bar) -> Mapping[str, Face]:
        from gunileo.vision.faces import find_faces
        from gunileo.vision.timeline import Timeline

        if self.face == Faces.all:
            return find_faces(self._frames(job, Timeline(), bar, f"{title}, finding faces"), str(job))
        return {"": cast("Face", self.face.value)}

    def _read(self, job: Job, name: str, face: Face, bar: Bar, title: str) -> Spoken:
        from gunileo.output.spoken import Spoken
        from gunileo.output.transcript import joined
        from gunileo.vision.timeline import Timeline

        timeline = Timeline()
        outlines: list[Array | None] = []
        segments: list[Transcript] = []

        def on_segment(sentence: Transcript) -> None:
            segments.append(sentence)
            self._say(job, name, sentence)

        watch = outlines.append if self.burn else None
        stream = self.reader.mouths(self._frames(job, timeline, bar, title), face, watch)
        try:
            transcript = self.reader.transcribe_stream(stream, str(job), *self.how, on_segment, timeline)
        except (GunileoError, KeyboardInterrupt):
            if segments:
                self._write(job, name, joined(str(job), self.reader.name, segments, timeline.duration))
            raise
        if not segments:  # before a file is written, so that a full disk loses no reading
            self._say(job, name, transcript)
        self._write(job, name, transcript)
        return Spoken(transcript, outlines, timeline)

    def _say(self, job: Job, name: str, said: Transcript) -> None:
        from gunileo.output.writers import marked

        whose = f"{job}: " if self.jobs > 1 else ""
        typer.echo(f"{whose}{name and name + ': '}{marked(said)}")

    def _write(self, job: Job, name: str, transcript: Transcript) -> None:
        from gunileo.output.writers import write_transcript

        stem = self.output / job.stem
        write_transcript(transcript, stem.with_name(f"{stem.name}.{name}") if name else stem, self.formats)

    def _burn(self, job: Job, film: Path, read: list[Spoken], bar: Bar, title: str) -> None:
        from functools import partial

        from gunileo.output.burn import burn

        if not burn(job.path, film, read, partial(bar, title=title), self.fps):
            complain(f"{job}: its sound is damaged, so {film} has none from there on")

    def _frames(self, job: Job, timeline: Timeline, bar: Bar, title: str) -> Iterator[Frame]:
        """The frames of a file, counted in seconds on a bar."""
        from gunileo.vision.video import FPS, ahead, length, read_frames

        total = length(job.path)
        for number, frame in enumerate(ahead(read_frames(job.path, timeline, self.fps))):
            if number % FPS == 0:
                bar(number // FPS, total // FPS, title)
            yield frame
