"""A published model from where it lies to a model of the user's own: found, read, converted, tried, kept whole."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from gunileo.corpus.archive import ArchiveError, unpack
from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.inference.registry import ImportedModel
from gunileo.published.catalogue import UNITS, File, Known, known, titled
from gunileo.published.checkpoint import read_checkpoint
from gunileo.published.convert import write_language_model, write_lipnet, write_model
from gunileo.published.downloads import digest, fetch
from gunileo.published.errors import ImportFault
from gunileo.published.search import WEIGHTS, Weighting
from gunileo.published.settings import conformer_settings, language_settings, read_settings
from gunileo.published.state_dict import CONFORMER, LANGUAGE_MODEL, LIPNET, network_of, with_common_keys
from gunileo.published.tokens import UNITS as UNIT_FILES
from gunileo.published.tokens import tokens_of
from gunileo.published.weights import Tensors
from gunileo.util.files import FileError, alone

_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".bin")
_UNKNOWN_TERMS = "unknown; the terms of whoever published it hold"
_NAME = re.compile(r"(?=[\w.-]{1,100}$)[\w.-]*\w[\w.-]*")

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Found:
    """A checkpoint, and what is known of it."""

    checkpoint: Path
    source: str  # as the card tells
    license: str
    known: Known | None = None
    language_model: Path | None = None


def import_model(
    source: str, accept: Callable[[str], bool], name: str | None = None, lm: Path | None = None, say: Say = print
) -> ImportedModel:
    """Import a published model: a file, a folder, a zip, an address, or a name of the catalogue.

    ``accept`` is asked once, with the licence's words, before anything is downloaded; ``lm`` is a language model's
    folder. Nothing of a file is run. Raises ``GunileoError``, one line, if it is refused, or the model can't be had,
    read or kept; nothing is installed then.
    """
    entry = known(source)
    _check_source(source, entry, lm)
    meant = entry or known(name or "") or _titled(source)
    name = _free_name(name or (meant.name if meant else _name_of(source)))
    license = entry.license if entry else _license_beside(source) or (meant.license if meant else _UNKNOWN_TERMS)
    if meant and not entry:
        say(f"{source}: by its name this is {meant.name}; it gets the settings that its authors used")
    if meant and meant.language and not (lm or (entry and entry.language_model)):
        say(f"{meant.name}: its authors used a language model; if you have it, give it with --lm FOLDER")
    if not accept(f"{source}: its licence: {license}"):
        raise ImportFault(f"{source}: not imported, as its licence was not accepted; --accept-license does that")
    with _workplace(registry.home() / "imports") as work:
        found = replace(_found(source, entry, license, work, lm, say), known=meant)
        built = work / "built"
        try:
            built.mkdir()
            card = _built(found, built, say)
            (built / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
            target = registry.imported_folder(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            built.rename(target)
        except OSError as error:
            reason = f"can't be written ({error.strerror}); free some space and import again"
            raise FileError(f"{registry.imported_folder(name)}: {reason}") from error
    shutil.rmtree(_downloads(source), ignore_errors=True)
    kept = registry.imported(name)
    assert kept is not None
    return kept


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """A place within ``folder`` for one import at a time; what an import left that was killed is removed."""
    with alone(folder):
        for left in folder.glob("gunileo-*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="gunileo-", dir=folder) as work:
            yield Path(work)


def _check_source(source: str, entry: Known | None, lm: Path | None) -> None:
    """Raise ``ImportFault`` if there is nothing of which a licence need be accepted, or no such language model."""
    if entry and not entry.files:
        raise ImportFault(f"{source}: get it by hand from {entry.page}, then 'gunileo import FILE --name {source}'")
    address = urlsplit(source) if "://" in source else None
    if address and not (address.scheme in ("http", "https") and address.netloc and PurePosixPath(address.path).name):
        raise ImportFault(
            f"{source}: no address of a file; give one that begins with https and ends with the file's name"
        )
    if not (entry or "://" in source or os.path.isfile(source) or os.path.isdir(source)):
        raise ImportFault(
            f"{source}: no such file; give a file, folder, zip, address or name of 'gunileo models --known'"
        )
    if lm and not (os.path.isfile(lm) or os.path.isdir(lm)):
        raise ImportFault(f"{lm}: no such language model; give its folder or zip with --lm")


def _name_of(source: str) -> str:
    path = PurePosixPath(urlsplit(source).path) if "://" in source else Path(source).resolve()
    stem = path.parent.name if path.name in ("model.pth", "model.pt") and path.parent.name else path.name
    return re.sub(r"[^\w.-]", "-", re.sub(r"\.(pth|pt|ckpt|bin|zip)$", "", stem)).lower()


def _titled(source: str) -> Known | None:
    """The published model whose name a file has, or the one checkpoint in a folder."""
    names = [_name_of(source)]
    if os.path.isdir(source):
        names += [path.stem for path in Path(source).glob("*") if path.suffix.lower() in _CHECKPOINTS]
    return next((found for name in names if (found := titled(name))), None)


def _free_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name.startswith("."):
        raise ImportFault(
            f"{name!r}: no name for a model; give one of up to 100 letters, digits, dots and dashes with --name"
        )
    if name in registry.all_names() or registry.imported_folder(name).exists():
        raise ImportFault(f"{name}: there is a model of this name; give another with --name, or 'gunileo forget' it")
    return name


def _downloads(source: str) -> Path:
    """Where what a name or an address stands for is kept until it is imported; another folder for each."""
    return registry.home() / "downloads" / hashlib.sha256(source.encode()).hexdigest()[:16]


def _license_beside(source: str) -> str:
    folder = Path(source) if Path(source).is_dir() else Path(source).parent
    for path in (folder / "LICENSE", folder / "LICENSE.txt", folder / "LICENSE.md"):
        if "://" not in source and path.is_file():
            return " ".join(path.read_text(encoding="utf-8", errors="replace").split())[:2000]
    return ""


def _found(source: str, entry: Known | None, license: str, work: Path, lm: Path | None, say: Say) -> _Found:
    """The checkpoint that is meant, fetched and unpacked where it needs that."""
    language = _checkpoint_in(_opened(lm, work / "lm"), lm) if lm else None
    if entry:
        folder = _downloads(source)
        fetch(entry.files, folder, say)
        if entry.language_model:
            fetch(entry.language_model, folder / "lm", say)
            language = language or _checkpoint_in(folder / "lm", folder / "lm")
        address = next(file.address for file in entry.files if file.name.endswith(_CHECKPOINTS))
        return _Found(_checkpoint_in(folder, folder), address, license, language_model=language)
    if "://" in source:
        path = _downloads(source) / (PurePosixPath(urlsplit(source).path).name or "model.pth")
        fetch([File(path.name, source)], path.parent, say)
    else:
        path = Path(source)
    return _Found(_checkpoint_in(_opened(path, work / "unpacked"), path), source, license, language_model=language)


def _opened(path: Path, folder: Path) -> Path:
    """A folder or checkpoint; a zip of such is unpacked into ``folder``."""
    if path.suffix.lower() != ".zip":
        return path
    try:
        folder.mkdir()
        unpack(path, lambda member: folder / member.name)
    except ArchiveError as error:
        raise ImportFault(f"{error}") from error
    except OSError as error:
        raise ImportFault(f"{path}: can't be read ({error.strerror}); check the file") from error
    return folder


def _checkpoint_in(path: Path, given: Path) -> Path:
    """The one checkpoint in a folder, or the file itself; ``given`` is what a message names."""
    if not path.is_dir():
        return path
    found = sorted(one for one in path.glob("*") if one.suffix.lower() in _CHECKPOINTS)
    if len(found) != 1:
        what = f"{len(found)} checkpoints" if found else "no checkpoint (.pth, .pt, .ckpt)"
        raise ImportFault(f"{given}: {what} in it; give the one that is meant as a file")
    return found[0]


def _built(found: _Found, folder: Path, say: Say) -> dict[str, Any]:
    """Write a model's files into a folder; its card."""
    path = found.checkpoint
    say(f"{path.name}: reading")
    checksum = digest(path, hashlib.sha256())
    weights = with_common_keys(read_checkpoint(path))
    kind, tensors = network_of(weights, path), Tensors(weights, str(path))
    entry = found.known
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    card = {"license": found.license, "source": found.source, "sha256": checksum, "date": date}
    metadata = {key: json.dumps(value) for key, value in card.items()}
    if entry and entry.grammar:
        metadata["grammar"] = json.dumps(entry.grammar)
    if entry:
        metadata["language"] = json.dumps(entry.reads)
    if kind == LANGUAGE_MODEL:
        raise ImportFault(f"{path}: a language model; give it with --lm FOLDER beside the model that it belongs to")
    if kind != CONFORMER and found.language_model:
        raise ImportFault(f"{path}: is decoded by CTC alone and takes no language model; leave --lm out")
    say(f"{path.name}: {kind}, converting")
    if kind == LIPNET:
        write_lipnet(folder, tensors, metadata)
    else:
        _write_conformer(folder, found, tensors, metadata, entry)
    parameters = sum(one.size for key, one in weights.items() if not key.endswith(("_tracked", "mean", "_var")))
    known_of_it = {"published": entry.published, "grammar": entry.grammar} if entry else {}
    return {**card, "parameters": int(parameters), **known_of_it}


def _write_conformer(
    folder: Path, found: _Found, tensors: Tensors, metadata: Mapping[str, str], entry: Known | None
) -> None:
    path = found.checkpoint
    told = _settings_beside(path)
    size = tensors.shape("ctc.ctc_lo.weight")[0] if "ctc.ctc_lo.weight" in tensors else 0
    tokens = tokens_of(told, size, _with_units(path, size, told), str(path)) if size else ()
    settings = conformer_settings(tensors, told, tokens)
    weight = 0.0
    if found.language_model:
        _write_language_model(folder, found.language_model, len(tokens))
        weight = entry.language if entry and entry.language else 0.3
    write_model(folder, tensors, settings, metadata)
    start = (entry.start,) if entry and entry.start else ()
    beam, penalty = (entry.beam, entry.penalty) if entry else (40, 0.0)
    Weighting(beam, 0.1, weight, penalty, start).write(folder / WEIGHTS)


def _write_language_model(folder: Path, path: Path, tokens: int) -> None:
    weights = with_common_keys(read_checkpoint(path))
    if (kind := network_of(weights, path)) != LANGUAGE_MODEL:
        raise ImportFault(f"{path}: {kind}, no language model; give the folder of one with --lm")
    language = Tensors(weights, str(path))
    settings = language_settings(language, _settings_beside(path))
    if settings.tokens != tokens:
        raise ImportFault(f"{path}: {settings.tokens} tokens, the model {tokens}; give the one that belongs to it")
    write_language_model(folder, language, settings)


def _settings_beside(checkpoint: Path) -> Mapping[str, Any]:
    """What ``model.json`` beside a checkpoint tells, or a file of the checkpoint's own name; nothing without one."""
    for path in (checkpoint.with_suffix(".json"), checkpoint.with_name("model.json")):
        if path.is_file():
            return read_settings(path)
    return {}


def _with_units(checkpoint: Path, size: int, told: Mapping[str, Any]) -> Path:
    """The folder that has the list of tokens: the checkpoint's, else where it is fetched to."""
    name = UNIT_FILES.get(size)
    if name is None or "char_list" in told or (checkpoint.parent / name).is_file():
        return checkpoint.parent
    folder = registry.home() / "downloads" / "units"
    try:
        fetch([UNITS[name]], folder, lambda _: None)
    except GunileoError as error:
        raise ImportFault(f"{checkpoint}: needs {name} beside it ({error})") from error
    return folder
