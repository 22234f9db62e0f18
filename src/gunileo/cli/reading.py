"""Reading the lips in one file, as the command line asks for it: its text, its files, its video with the words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from gunileo.cli.complaints import complain
from gunileo.cli.decoding import AS_PUBLISHED, Weights, loaded, way
from gunileo.cli.jobs import Job
from gunileo.cli.options import Decode, Device, Faces
from gunileo.errors import GunileoError
from gunileo.util.files import FileError, fitting, write_whole

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


@dataclass(frozen=True)
class Reading:
    """What is to be done with each file; another process can be sent it, and loads the model itself."""

    model: str
    device: Device
    decode: Decode | None
    grammar: Path | None
    lexicon: Path | None
    lm: Path | None
    face: Faces
    formats: tuple[str, ...]
    burn: bool
    output: Path
    fps: float  # of numbered pictures
    jobs: int  # files in all, 0 if nobody knows
    weights: Weights = AS_PUBLISHED

    @cached_property
    def _reader(self) -> Reader:
        return loaded(self.model, self.device, self.weights)

    @cached_property
    def _how(self) -> tuple[How | None, Rules | None]:
        return way(self.decode, self.grammar, self.lexicon, self.lm, self.model)

    def check(self) -> None:
        """Raise what is wrong with the request before the first file is read."""
        if self.writes and self.output.exists() and not self.output.is_dir():
            raise FileError(f"{self.output}: is a file; name a folder for what is written")
        self._how, self._reader  # noqa: B018

    @property
    def writes(self) -> bool:
        """Whether it leaves any files."""
        return self.burn or bool(self.formats)

    def is_done(self, job: Job) -> bool:
        """Whether an earlier run read the file to its end: what it writes is there, and no older than the file."""
        stem = self.output / job.stem
        kinds = [*self.formats, *(["mp4"] if self.burn else [])]
        try:
            since = job.path.stat().st_mtime
            written = [fitting(stem.with_name(f"{stem.name}.{kind}")).stat().st_mtime for kind in kinds]
            return min(written, default=0.0) >= since and not self._mark(job).exists()
        except OSError:
            return False

    def _mark(self, job: Job) -> Path:
        """A file that is there while only a part of what a file says is written."""
        return fitting(self.output / job.stem.with_name(f".{job.stem.name}.unfinished"))

    def earlier(self, job: Job) -> Transcript:
        """What an earlier run read in a file, from its JSON. Raises ``JsonError``, and ``FileError`` if it is gone."""
        from gunileo.output.whisper import read_json

        return read_json(fitting(self.output / job.stem.with_name(f"{job.stem.name}.json")))

    def do(self, job: Job, number: int, bar: Bar) -> tuple[bool, Transcript | None]:
        """Read a file, its ``number`` counted from one: whether one of several faces failed, and what all say."""
        from gunileo.vision.pipe import kept

        title = f"{number}/{self.jobs} {job.path.name}" if self.jobs > 1 else job.path.name
        again = self.burn or self.face == Faces.all  # a pipe can be read once
        with kept(job.path) if again else nullcontext(job.path) as path:
            failed, said = self._do(replace(job, path=path, name=str(job)), title, bar)
        if self.writes and not failed:
            self._mark(job).unlink(missing_ok=True)
        return failed, said

    def _do(self, job: Job, title: str, bar: Bar) -> tuple[bool, Transcript | None]:
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
        said = next((spoken.transcript for spoken in read.values()), None)
        if len(faces) > 1 and read:
            said = together({name: spoken.transcript for name, spoken in read.items()})
            self._write(job, "", said)
        if self.burn and read:
            self._burn(job, film, list(read.values()), bar, f"{title}, drawing")
        return len(read) < len(faces), said

    def _faces(self, job: Job, title: str, bar: Bar) -> Mapping[str, Face]:
        from gunileo.vision.faces import find_faces
        from gunileo.vision.timeline import Timeline

        if self.face == Faces.all:
            found = find_faces(self._frames(job, Timeline(), bar, f"{title}, finding faces"), str(job))
            # A single one is read as by default: after a cut, another person may be in its place.
            return found if len(found) > 1 else {"": "largest"}
        return {"": cast("Face", self.face.value)}

    def _read(self, job: Job, name: str, face: Face, bar: Bar, title: str) -> Spoken:
        from gunileo.output.spoken import Spoken
        from gunileo.output.transcript import joined
        from gunileo.vision.timeline import Timeline

        reader, timeline = self._reader, Timeline()
        outlines: list[Array | None] = []
        segments: list[Transcript] = []

        def on_segment(sentence: Transcript) -> None:
            segments.append(sentence)
            self._say(job, name, sentence)

        watch = outlines.append if self.burn else None
        stream = reader.mouths(self._frames(job, timeline, bar, title), face, watch)
        try:
            transcript = reader.transcribe_stream(stream, str(job), *self._how, on_segment, timeline)
        except (GunileoError, KeyboardInterrupt):
            if segments:
                if self.writes:
                    write_whole(self._mark(job), "")
                told = joined(str(job), reader.name, segments, timeline.duration, reader.metadata.language)
                self._write(job, name, told)
            raise
        try:
            if not segments:  # before a file is written, so that a full disk loses no reading
                self._say(job, name, transcript)
        finally:  # nor does a full disk that standard output goes to
            self._write(job, name, transcript)
        if transcript.hidden:
            times = ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in transcript.hidden)
            whose = f" of the face named {name}" if name else ""
            complain(f"{job}: the mouth{whose} is hidden from {times}; what is read there is a guess")
        return Spoken(transcript, outlines, timeline)

    def _say(self, job: Job, name: str, said: Transcript) -> None:
        from gunileo.output.writers import marked

        whose = f"{job}: " if self.jobs != 1 else ""
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
