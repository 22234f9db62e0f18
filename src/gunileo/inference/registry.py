"""The models that come with the package, with their files as they were released, and those that the user taught or
imported."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path

from gunileo.corpus.grid import is_grid
from gunileo.errors import GunileoError

DEFAULT = "labial-shape"  # the shipped model with the fewest errors on speakers that were never seen
TEACHING_BASE = "labial-shape"  # what docs/teach.md's figures and the odds in templates.py were measured with
FALLBACK = "fallback.onnx"  # in the folder of an adaptation's run: its initial model, the fallback of the new one
WEIGHTS = Path(str(files("gunileo.inference") / "weights"))


class ModelError(GunileoError):
    """A model that can't be found, or a file that is not a model of Gunileo."""


@dataclass(frozen=True)
class ModelInfo:
    """A shipped model. Error rates are shares (0.05 = 5 %), measured on the clips that ``measured_on`` names."""

    name: str
    file: str  # ONNX, in the package's weights folder
    weights: str  # safetensors, to train on from
    sha256: dict[str, str]  # of its files
    bytes: dict[str, int]  # of its files
    parameters: int
    wer_greedy: float
    wer_grammar: float
    cer_greedy: float
    cer_grammar: float
    milliseconds: float  # from the crops of a clip of three seconds to its words, where it was released
    measured_on: str
    trained_on: str
    license: str
    attribution: str
    # Of a model of many speakers: on others, whom an earlier stage was not trained on.
    unseen_wer_greedy: float | None = None
    unseen_wer_grammar: float | None = None
    unseen_on: str = ""
    fallback: str = ""  # the shipped model that reads what it is sure of: it knows a speaker better
    face: str = ""  # JSON: the only face that it is asked about as a fallback (``known_face``)


@dataclass(frozen=True)
class TaughtModel:
    """A model that the user taught commands; ``models/NAME/teach.json`` in ``home()`` has these fields."""

    name: str
    base: str  # shipped model, or path of the run, over whose frame features it was taught
    recordings: Mapping[str, int]  # of each command
    trained: bool  # its network too, else its recordings are templates for the base's
    right: (
        int  # recordings that the others recognise, held back where the network was trained; or words of practice ...
    )
    tested: int  # ... of so many
    made: str  # when, ISO 8601
    version: str = ""  # the folder beside ``teach.json`` that has the other files; another one each time it is taught

    @property
    def folder(self) -> Path:
        """Where its files are, but for ``teach.json``."""
        return home() / "models" / self.name / self.version

    def summary(self) -> str:
        """What was taught, and how well it was learnt, for a reader; a line each."""
        commands = ", ".join(f"{text} ({count})" for text, count in self.recordings.items())
        how = f"trained from {self.base}" if self.trained else f"templates for {self.base}"
        unit = " words" if all(map(is_grid, self.recordings)) else " recordings"  # as ``right`` counts
        untested = "not tested: record each sentence a second time"
        tested = f"{self.right} of {self.tested}{unit}" if self.tested else untested
        return (
            f"{self.name}\n"
            f"  taught              {self.made}, {how}\n"
            f"  recordings          {sum(self.recordings.values())}, of {len(self.recordings)} sentences: {commands}\n"
            f"  read right          {tested}"
        )


def home() -> Path:
    """The user's folder of models, taught and imported: ``$GUNILEO_HOME``, or the system's place for such data."""
    import platformdirs

    return Path(os.environ.get("GUNILEO_HOME") or platformdirs.user_data_path("gunileo"))


def taught_models() -> list[TaughtModel]:
    """The models that the user taught, by name. Raises ``ModelError`` if one's description is damaged."""
    found = sorted((home() / "models").glob("*/teach.json"))
    return [_taught(path) for path in found]


def taught(name: Path | str) -> TaughtModel | None:
    """The model that the user taught under this name, if there is one; ``ModelError`` if it is damaged."""
    parts = Path(name).parts
    path = home() / "models" / str(name) / "teach.json"
    return _taught(path) if parts == (str(name),) and path.is_file() else None


def _taught(path: Path) -> TaughtModel:
    try:
        return TaughtModel(name=path.parent.name, **json.loads(content_of(path, "check its permissions")))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path}: can't be understood ({error}); teach {path.parent.name} again") from error


@dataclass(frozen=True)
class ImportedModel:
    """A published model that the user imported: ``imported/NAME/card.json`` in ``home()`` has these fields.

    Beside it lie ``model.onnx``, whose ``ModelMetadata`` say what it needs, and further parts of it.
    """

    name: str
    license: str  # its name or its words
    source: str  # address or file that it was made of
    sha256: str  # of that file
    date: str  # when, ISO 8601
    parameters: int = 0
    published: str = ""  # what its authors measured, in their words; nothing here was measured with it
    grammar: str = ""  # that it reads by, if nothing else is asked for: "grid" or none

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return imported_folder(self.name)

    def summary(self) -> str:
        """Where it is from, for a reader; a line each."""
        size = f"  parameters          {self.parameters / 1e6:.1f} million\n" if self.parameters else ""
        kept = sum(path.stat().st_size for path in self.folder.glob("*"))
        figures = f"  by its authors      {self.published}\n" if self.published else ""
        return (
            f"{self.name}\n  imported            {self.date}, from {self.source}\n{size}{figures}"
            f"  size                {kept / 1e6:.0f} MB\n"
            f"  sha256              {self.sha256}\n  license             {self.license}"
        )


def imported_folder(name: str) -> Path:
    """Where an imported model of this name is, or is to be; move a finished folder there in one step."""
    return home() / "imported" / name


def imported_models() -> list[ImportedModel]:
    """The models that the user imported, by name. Raises ``ModelError`` if one's card is damaged."""
    return [_imported(path) for path in sorted((home() / "imported").glob("*/card.json"))]


def imported(name: Path | str) -> ImportedModel | None:
    """The model that the user imported under this name, if there is one; ``ModelError`` if it is damaged."""
    path = imported_folder(str(name)) / "card.json"
    return _imported(path) if Path(name).parts == (str(name),) and path.is_file() else None


def _imported(path: Path) -> ImportedModel:
    try:
        card = json.loads(content_of(path, "check its permissions"))
        known = {field.name for field in fields(ImportedModel)} - {"name"}
        return ImportedModel(name=path.parent.name, **{key: value for key, value in card.items() if key in known})
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: can't be understood ({error}); import {path.parent.name} again") from error


def available_models() -> list[ModelInfo]:
    """The models that come with the package. Raises ``ModelError`` if the list of them is damaged."""
    registry = WEIGHTS / "models.json"
    if not registry.exists():
        return []
    try:
        return [ModelInfo(**entry) for entry in json.loads(registry.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise ModelError(f"{registry}: can't be understood ({error}); reinstall gunileo") from error


def shipped(name: Path | str) -> ModelInfo | None:
    """The shipped model of this name, if there is one."""
    return next((info for info in available_models() if info.name == str(name)), None)


def all_names() -> list[str]:
    """The names of all models that are here: shipped, taught, imported."""
    yours = [one.name for one in taught_models()] + [one.name for one in imported_models()]
    return [info.name for info in available_models()] + yours


def described() -> str:
    """All models' names by kind, for a message."""
    taught, stored = [one.name for one in taught_models()], [one.name for one in imported_models()]
    others = (("taught", taught), ("imported", stored))
    shipped_ones = f"the shipped ones ({names()})"
    return "".join([shipped_ones, *(f", of the {kind} ones ({', '.join(some)})" for kind, some in others if some)])


def names() -> str:
    """The shipped models' names, for a message."""
    return ", ".join(info.name for info in available_models()) or "none are shipped"


def weights_of(model: Path | str) -> Path:
    """The safetensors file of a shipped model, by its name, of a finished run, by its folder, or of a trained model
    that was taught, by its name; what comes first in this order.

    Raises ``ModelError`` if there is none, or a shipped one differs from its checksum.
    """
    info = shipped(model)
    if info:
        released(info, info.weights)
    path = WEIGHTS / info.weights if info else Path(model) / "model.safetensors"
    if not path.is_file() and (known := taught(model)):
        if not known.trained:
            raise ModelError(f"{model}: has only templates, with the weights of {known.base}; give {known.base}")
        path = known.folder / "run" / "model.safetensors"
    if not path.is_file() and (stored := imported(model)):
        raise ModelError(f"{model}: is imported, as ONNX files alone, in {stored.folder}; give another model or a run")
    if not path.is_file():
        raise ModelError(f"{model}: no weights there; give a shipped one's name ({names()}) or a finished run's folder")
    return path


def released(info: ModelInfo, file: str) -> bytes:
    """The content of one of a shipped model's files; ``ModelError`` if it isn't the one that was released."""
    path = WEIGHTS / file
    content = content_of(path, "reinstall gunileo")
    if hashlib.sha256(content).hexdigest() != info.sha256.get(file):
        raise ModelError(f"{path}: checksum differs from the released file's; reinstall gunileo")
    return content


def content_of(path: Path, advice: str) -> bytes:
    """A file's content; ``ModelError`` with ``advice`` if it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror}); {advice}") from error
