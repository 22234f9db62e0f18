"""The models that come with the package: what they are, and their files as they were released."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from gunileo.errors import GunileoError

DEFAULT = "labial-wide"  # the shipped model with the fewest errors
WEIGHTS = Path(str(files("gunileo") / "weights"))


class ModelError(GunileoError):
    """A model that can't be found, or a file that is none of ours."""


@dataclass(frozen=True)
class ModelInfo:
    """A shipped model; error rates are shares (0.05 = 5 %) on the clips that ``measured_on`` names."""

    name: str
    file: str  # ONNX, in the package's weights folder
    weights: str  # safetensors, to train on from
    sha256: dict[str, str]  # of both files
    bytes: dict[str, int]  # of both files
    parameters: int
    wer_greedy: float
    wer_grammar: float
    cer_greedy: float
    cer_grammar: float
    milliseconds: float  # from the regions of a clip of three seconds to its words, where it was released
    measured_on: str
    trained_on: str
    licence: str
    attribution: str


def available_models() -> list[ModelInfo]:
    """The models that come with the package. Raises ``ModelError`` if their list is damaged."""
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


def names() -> str:
    """The shipped models' names, for a message."""
    return ", ".join(info.name for info in available_models()) or "none are shipped"


def weights_of(model: Path | str) -> Path:
    """The safetensors file of a shipped model, by its name, or of a finished run, by its folder.

    Raises ``ModelError`` if there is none, or a shipped one differs from its checksum.
    """
    info = shipped(model)
    if info:
        released(info, info.weights)
    path = WEIGHTS / info.weights if info else Path(model) / "model.safetensors"
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
