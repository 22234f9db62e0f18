"""Teaching a model the user's own commands, from recordings of them: clips with a text beside each.

A taught model is a folder of its own in ``registry.home()``; ``load_model`` finds it by its name. Its ``teach.json``
names the folder within that holds everything else, and is written last, in one step: there is the earlier model or the
new one, at whatever moment the work is killed.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gunileo.corpus.cache import Cache, CachedUtterance, remove
from gunileo.corpus.finders import Corpus, find_corpus
from gunileo.corpus.grid import is_grid
from gunileo.corpus.prepare import prepare
from gunileo.corpus.split import validation_part
from gunileo.errors import GunileoError, Stopped
from gunileo.inference import registry
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.registry import ModelError, TaughtModel
from gunileo.inference.templates import Templates
from gunileo.util.files import FileError, alone, write_whole
from gunileo.vision.crop import Crops
from gunileo.vision.mouth import read_mouth
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import Array
from gunileo.vision.speech_activity import LONGEST, moving
from gunileo.vision.video import FPS
from gunileo.vision.view import View

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, and of how much

_NAME = re.compile(r"\w[\w .-]{0,62}(?<![ .])")  # what every system takes for a folder


class RecordingError(GunileoError):
    """A recording that nothing can be learnt from, or a name that no model can have."""


@dataclass(frozen=True)
class Enrolment:
    """What came of teaching: the model, and each clip that was left out, with the reason."""

    model: TaughtModel
    skipped: list[tuple[str, str]]


def checked_name(name: str) -> str:
    """The same name; ``RecordingError`` if it can't be a taught model's: a shipped one has it, or no folder can."""
    if not _NAME.fullmatch(name):
        raise RecordingError(f"{name!r} can't be a model's name; use up to 63 letters, digits, spaces, dots and dashes")
    if registry.shipped(name):
        raise RecordingError(f"{name} is a model that comes with the package; use another name")
    return name


def recordings_folder(name: str) -> Path:
    """The folder for recordings that the server makes for a model; ``forget`` removes it too.

    Raises ``RecordingError`` if the name can't be a model's.
    """
    return registry.home() / "recordings" / checked_name(name)


def check_recording(path: Path | str, view: View | None = None) -> MouthClip:
    """The mouths of a recording, from the mouth's first movement to its last; with the pictures of a ``view``, if any.

    Raises ``VideoError`` if the file can't be decoded, ``MouthError`` if no face can be followed, ``RecordingError`` if
    the mouth hardly moves, or moves for longer than ten seconds; each names the file and says what to do.
    """
    clip = read_mouth(path, view)
    return clip[_said(clip, str(path))]


def _said(clip: MouthClip, file: str) -> slice:
    said = moving(clip)
    if said is None:
        raise RecordingError(f"{file}: the mouth hardly moves; say the sentence aloud or mouth it, and film it again")
    if said.stop - said.start > LONGEST:
        raise RecordingError(
            f"{file}: over {LONGEST // FPS} seconds of speech; film one sentence, and rest the mouth before and after"
        )
    return said


def teach(
    folder: Path | str,
    name: str,
    base: str = registry.TEACHING_BASE,
    train: bool = False,
    progress: Progress | None = None,
) -> Enrolment:
    """Teach a model the commands of a folder of clips with a ``.txt`` beside each, or all that GRID's sentences say.

    Each recording of a command is a template from then on (in seconds), as frame features of ``base``: a shipped or
    imported model, or a finished run. With ``train`` its network learns from them too (in minutes; it needs the
    ``train`` extra); an imported one's can't. Where all texts are GRID's sentences, no single one is a command: the
    network is trained to read that face, and GRID's grammar stays.

    A clip that can't be used is left out and reported. Crops that were cut out for the same name before are used
    again, so that adding a recording costs little. An earlier model of this name is replaced once the new one is whole;
    whatever ``progress`` raises stops the work, and leaves the earlier one as it was.

    Raises ``RecordingError`` if no clip can be used, the name can't be a model's, GRID's sentences come without
    ``train``, or an imported model is to be trained; ``CorpusError`` if there are no clips, ``ModelError`` if there is
    no such base.
    """
    name, report = checked_name(name), progress or (lambda *_: None)
    if registry.imported_folder(name).exists():
        raise RecordingError(f"{name} is a model that you imported; use another name, or run 'gunileo forget {name}'")
    reader = _loaded(base, train)
    corpus = find_corpus(folder)
    place = registry.home() / "models" / name
    with alone(place.parent):
        _tidy(place.parent)
        try:
            recordings = _Recordings(corpus, registry.home() / "crops" / name, report, reader.view)
            if recordings.practice and not train:
                how = "use another base, with --train" if reader.view else "add --train"
                raise RecordingError(f"{folder}: all are GRID's sentences, which the network has to learn; {how}")
            model = _taught(recordings, place, base, reader, train, report)
        finally:
            _tidy(place.parent)
    return Enrolment(model, recordings.skipped)


def _loaded(base: str, train: bool) -> Reader:
    """The model to build on; ``RecordingError`` if it is none to build on, or to ``train``."""
    if registry.taught(base) and not Path(base).exists():
        raise RecordingError(f"{base}: is a taught model; build on a shipped model or a finished run")
    reader = load_model(base)
    if reader.view and train:
        raise RecordingError(f"{base}: is imported, and its network can't be trained here; leave --train out")
    return reader


def _taught(
    recordings: _Recordings, place: Path, base: str, reader: Reader, train: bool, report: Progress
) -> TaughtModel:
    place.mkdir(exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix="", dir=place))
    held: list[CachedUtterance] = []
    if train:
        held = recordings.held()
        reader = _trained(recordings, held, base, new / "run", report)
    if recordings.practice:
        right, tested = _practised(recordings, held, reader)
    else:
        right, tested = _enrolled(recordings, held, reader, new / "templates.npz", report)
    counts = dict(Counter(one.text for one in recordings.utterances))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lasting = base if registry.shipped(base) or registry.imported(base) else str(Path(base).absolute())
    model = TaughtModel(place.name, lasting, counts, train, right, tested, now, new.name)
    fields = {field: value for field, value in asdict(model).items() if field != "name"}
    write_whole(place / "teach.json", json.dumps(fields, indent=1) + "\n")
    return model


def tidy() -> None:
    """Remove what enrolments that were killed have left, unless one goes on."""
    models = registry.home() / "models"
    if models.is_dir():
        with suppress(FileError), alone(models):
            _tidy(models)


def _tidy(models: Path) -> None:
    """Remove all that no model's description names: versions that were replaced or never finished."""
    for place in models.iterdir():
        if not place.is_dir():
            continue
        try:
            model = registry.taught(place.name)
        except ModelError:  # whoever wants to mend it finds everything
            continue
        if model and not model.version:
            continue
        kept = {"teach.json", model.version} if model else set()
        for path in place.iterdir():
            if path.name in kept:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # what a system doesn't let go of stays until the next time
            else:
                path.unlink(missing_ok=True)
        if not model:
            with suppress(OSError):
                place.rmdir()


class _Recordings(Cache):
    """The usable recordings of a corpus, as a cache whose clips go from the first movement to the last.

    A clip has the pictures of the ``view``, if there is one: its video is followed again for them.
    """

    def __init__(self, corpus: Corpus, cache: Path, report: Progress, view: View | None = None) -> None:
        self._view = view
        self._videos = {one.id: one.video for one in corpus.utterances}
        told = {one.video for one in corpus.utterances}
        self.skipped = [
            (str(video), f"{video}: no text beside it; write what is said into a .txt of the same name")
            for video in corpus.without_label
            if video not in told
        ]
        self.skipped += [(str(path), reason) for path, reason in corpus.rejected]
        self.skipped += prepare(
            corpus.utterances, cache, progress=lambda done, of: report("finding mouths", done, of)
        ).skipped
        super().__init__(cache)
        left = {name for name, _ in self.skipped}
        wanted = {one.id: str(one.video) for one in corpus.utterances if one.id not in left}
        # By name: the cache has them in the order in which they were done.
        whole = sorted((one for one in self.utterances if one.id in wanted), key=lambda one: one.id)
        for one in self.utterances:
            if one.id not in wanted:
                remove(cache, one)  # whoever deletes a recording wants nothing of it kept
        self.practice = bool(whole) and all(is_grid(one.text) for one in whole)
        self.spans: dict[str, tuple[CachedUtterance, slice]] = {}
        for one in whole:
            try:
                clip = MouthClip(super().crops(one), super().measures(one))
                span = slice(0, len(clip)) if self.practice else _said(clip, wanted[one.id])
                self.spans[one.id] = one, span
            except GunileoError as error:
                self.skipped.append((one.id, str(error)))
        if not self.spans:
            reasons = f"; the first: {self.skipped[0][1]}" if self.skipped else ""
            raise RecordingError(f"no recording can be used{reasons}")
        self.utterances = [
            replace(one, speaker="", frames=span.stop - span.start, words=one.words if self.practice else ())
            for one, span in self.spans.values()
        ]

    def load(self, utterance: CachedUtterance) -> MouthClip:
        if not self._view:
            return super().load(utterance)
        return read_mouth(self._videos[utterance.id], self._view)[self.spans[utterance.id][1]]

    def crops(self, utterance: CachedUtterance) -> Crops:
        whole, span = self.spans[utterance.id]
        return super().crops(whole)[span]

    def measures(self, utterance: CachedUtterance) -> Array:
        whole, span = self.spans[utterance.id]
        return super().measures(whole)[span]

    def held(self) -> list[CachedUtterance]:
        """A tenth of the recordings, by a hash of their names, of those that the others can stand in for."""
        said = Counter(one.text for one in self.utterances)
        others = [one for one in self.utterances if self.practice or said[one.text] > 1]
        return validation_part(others, -(-len(others) // 10)) if len(others) > 1 else []


def _trained(
    recordings: _Recordings, held: Sequence[CachedUtterance], base: str, run: Path, report: Progress
) -> Reader:
    from gunileo.training.fine_tune import teaching
    from gunileo.training.train import train

    kept = {one.id for one in held}
    learnt = [one for one in recordings.utterances if one.id not in kept]
    try:
        train(
            recordings,
            learnt,
            held or learnt[:1],  # one must be validated on; nothing is chosen by it
            run,
            teaching(base, len(learnt), recordings.practice),
            progress=lambda done, of: report("training", done, of),
        )
    except Stopped:
        raise RecordingError("stopped; what was taught before is unchanged") from None
    for checkpoint in run.glob("*.ckpt"):
        checkpoint.unlink()  # a taught model is taught anew, never gone on with
    return load_model(run)


def _practised(recordings: _Recordings, held: Sequence[CachedUtterance], reader: Reader) -> tuple[int, int]:
    """Words of the held-back sentences that are read right, and all of them."""
    from gunileo.evaluation.metrics import words_right

    said = [one.text for one in held]
    read = [reader.transcribe_clip(recordings.load(one), one.id).text for one in held]
    right = sum(sum(words_right(one, other)) for one, other in zip(said, read, strict=True))
    return right, sum(len(one.split()) for one in said)


def _enrolled(
    recordings: _Recordings, held: Sequence[CachedUtterance], reader: Reader, path: Path, report: Progress
) -> tuple[int, int]:
    """Write all recordings as templates; how many are recognised by the others, the held-back ones if there are any."""
    templates = Templates(network=reader.checksum)
    for number, one in enumerate(recordings.utterances, 1):
        templates.add(one.text, reader.features(recordings.load(one)))
        report("comparing recordings", number, len(recordings.utterances))
    templates.save(path)
    kept = {one.id for one in held}
    return templates.tested([index for index, one in enumerate(recordings.utterances) if one.id in kept or not kept])


def forget(name: str) -> None:
    """Remove a model that was taught or imported, what was cut out for it, and the recordings in its
    ``recordings_folder``.

    Raises ``ModelError`` if there is none of that name, or something of it can't be removed.
    """
    folders = [registry.home() / kind / checked_name(name) for kind in ("models", "recordings", "crops", "imported")]
    if not any(folder.is_dir() for folder in folders):
        taught, imported = registry.taught_models(), registry.imported_models()
        listed = ", ".join([one.name for one in taught] + [one.name for one in imported]) or "none yet"
        raise ModelError(f"{name}: you have no such model; your models: {listed}")
    try:
        for card in (folders[0] / "teach.json", folders[-1] / "card.json"):
            card.unlink(missing_ok=True)  # first: no model is listed that is half gone
        for folder in folders:
            if folder.is_dir():
                shutil.rmtree(folder)
    except OSError as error:
        raise ModelError(f"{error.filename}: can't be removed ({error.strerror}); close what uses it") from error
