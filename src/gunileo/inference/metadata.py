"""What the metadata of an ONNX file tell of a model: its tokens, its input, its decoder, its licence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from gunileo.corpus.grid import CLASSES
from gunileo.decoding.ctc import Floats
from gunileo.decoding.vocabulary import GRID, Vocabulary, VocabularyError
from gunileo.inference.registry import ModelError
from gunileo.vision.crop import HEIGHT, WIDTH
from gunileo.vision.video import FPS
from gunileo.vision.view import View

# Who makes a view of the mouth, or a search, is named here as "module:callable" and imported when a model needs it.
# A view is called without arguments; a search with the model's folder and its vocabulary.
VIEWS = {
    "mean-face-88": "gunileo.published.views:MeanFace",
    "lipnet-64x128": "gunileo.published.views:LipNetFace",
}
SEARCHES = {"ctc-attention": "gunileo.published.search:load"}

LONGEST = 16 * FPS  # frames that a published network takes at once: Auto-AVSR was trained on no longer clips

_MOUTH, _CTC = "mouth", "ctc"  # what Gunileo's own models take, and how they are decoded
_OURS = {"fps": str(FPS), "height": str(HEIGHT), "width": str(WIDTH), "normalisation": "clip"}


class Hypothesis(Protocol):
    """A text that a search found."""

    @property
    def classes(self) -> Sequence[int]:
        """Its tokens' classes, without blanks, repeats and the end."""
        ...

    @property
    def score(self) -> float:
        """Its log-score; those of different texts compare."""
        ...


class Search(Protocol):
    """Finds texts by more than CTC; of a model whose decoder is "ctc-attention". It can be pickled."""

    def weighted(self, beam: int | None = None, ctc: float | None = None, language: float | None = None) -> Search:
        """The same with so many hypotheses, and these weights of CTC and the language model; None stays as it is.

        Raises ``ValueError`` if one is out of range, or of a part that the model doesn't have.
        """
        ...

    def __call__(self, memory: Floats, logp: Floats) -> Sequence[Hypothesis]:
        """The best texts, best first, for the encoder's ``features`` [T, F] and CTC's log-probabilities [T, C]."""
        ...


@dataclass(frozen=True)
class ModelMetadata:
    """What an ONNX file's metadata tell; the defaults are those of the models that come with the package.

    ``input`` is "mouth" (crops of 100x150, and the mouth's shape if the network takes it) or one of ``VIEWS``;
    ``decoder`` "ctc" or one of ``SEARCHES``. ``grammar`` is "grid" of a model that reads GRID's sentences: it is used
    where no other is given. Of a model that reads any text it is "".
    """

    vocabulary: Vocabulary = GRID
    input: str = _MOUTH
    decoder: str = _CTC
    grammar: str = "grid"
    license: str = ""
    source: str = ""  # address or file that it was made of
    sha256: str = ""  # of that file
    date: str = ""  # when it was made of it, ISO 8601
    language: str = "en"  # that it reads, ISO 639-1

    @property
    def longest(self) -> int | None:
        """How many frames the network takes at once; None if that is up to memory alone."""
        return None if self.input == _MOUTH else LONGEST

    def view(self) -> View | None:
        """What makes the pictures that the network takes; None if they are the mouth crops."""
        return None if self.input == _MOUTH else _made(VIEWS, self.input)

    def search(self, folder: Path) -> Search | None:
        """What decodes beside CTC, with the other parts in the model's folder; None if nothing does."""
        return None if self.decoder == _CTC else _made(SEARCHES, self.decoder, folder, self.vocabulary)


def parse_metadata(properties: Mapping[str, str], path: Path) -> ModelMetadata:
    """What the metadata of an ONNX file at ``path`` tell.

    ``tokens`` is a list in JSON, the blank first; the other keys are texts, in JSON or as they are. A file without
    ``tokens`` has GRID's 37 classes, as the first models. Raises ``ModelError`` if it is none of gunileo's, or needs
    what this version doesn't have.
    """
    if "tokens" not in properties and "gunileo_classes" not in properties:
        raise ModelError(f"{path}: an ONNX model, but not one of gunileo's; give one that it exported or imported")
    told = {key: _text(properties.get(key, "")) for key in ("input", "decoder", "grammar", "license", "source")}
    told |= {key: _text(properties.get(key, "")) for key in ("sha256", "date")}
    told["language"] = _text(properties.get("language", "en"))
    if "tokens" not in properties or (told["input"] or _MOUTH) == _MOUTH:
        _check_ours(properties, path)
    vocabulary = _vocabulary(properties, path)
    for key, known in (("input", {_MOUTH, *VIEWS}), ("decoder", {_CTC, *SEARCHES}), ("grammar", {"grid"})):
        if told[key] and told[key] not in known:
            raise ModelError(f"{path}: has {told[key][:40]!r} as its {key}, which this version doesn't know; update it")
    told["grammar"] = told["grammar"] or ("grid" if vocabulary is GRID else "")
    return ModelMetadata(vocabulary, told.pop("input") or _MOUTH, told.pop("decoder") or _CTC, **told)


def _check_ours(properties: Mapping[str, str], path: Path) -> None:
    """The mouth crops that a model takes are those that are made here."""
    tokens = properties.get("tokens", json.dumps(CLASSES))
    named = "gunileo_classes" in properties or "tokens" not in properties
    expected = {"gunileo_classes": tokens, **_OURS} if named else _OURS
    for key, value in expected.items():
        if key not in properties:
            raise ModelError(f"{path}: an ONNX model, but not one of gunileo's; give one that it exported or imported")
        if properties[key] != value:
            raise ModelError(f"{path}: made for other {key} than this version's; export it again with this version")


def _vocabulary(properties: Mapping[str, str], path: Path) -> Vocabulary:
    if "tokens" not in properties:
        return GRID
    try:
        tokens = json.loads(properties["tokens"])
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError("no list of texts")
        return GRID if tuple(tokens) == GRID.tokens else Vocabulary(tuple(tokens))
    except (ValueError, RecursionError, VocabularyError) as error:
        raise ModelError(f"{path}: its tokens can't be understood ({error}); import or export it again") from error


def _text(value: str) -> str:
    """A text in JSON, or as it is."""
    try:
        found = json.loads(value) if value.startswith('"') else value
    except ValueError:
        return value
    return str(found)


def _made(known: Mapping[str, str], name: str, *arguments: Any) -> Any:
    module, _, attribute = known[name].partition(":")
    try:
        return getattr(import_module(module), attribute)(*arguments)
    except ModuleNotFoundError as error:
        raise ModelError(f"models with {name!r} can't be read by this version; update gunileo") from error
