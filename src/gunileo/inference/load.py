"""Models loaded: shipped, taught and imported ones by name, a training run by its folder, any other by its file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from gunileo.inference import known_face, registry, templates, timing
from gunileo.inference.confidence import from_json, stored_calibrations
from gunileo.inference.metadata import parse_metadata
from gunileo.inference.reader import Reader
from gunileo.inference.registry import ModelError, content_of
from gunileo.inference.session import Session
from gunileo.util.onnx import Device

# How an ONNX file names another that holds its weights (onnx.proto: external_data, key "location"); none of ours does,
# and one from elsewhere could name any file of the working folder.
_OUTSIDE = re.compile(rb"\n(?:\x08|\x88\x80{0,8}\x00)location")


def load_model(name_or_path: Path | str = registry.DEFAULT, device: Device = "auto") -> Reader:
    """Load a model, and its fallback model if it has one.

    ``name_or_path`` is the first of these that is found: the name of a shipped model, the folder of a training run, an
    ONNX file, or the name of a model that was taught or imported.

    ``device`` is where the network runs: "cpu", "cuda", "coreml", "directml" or "openvino". "auto" is the processor,
    as no other device was measured to be faster. Faces are found by the processor.

    Raises ``DeviceError``, which says what to install, if the device isn't there. Raises ``ModelError`` if there is no
    such model, if a shipped file differs from its checksum, if this version can't read a file, or if a taught model's
    base has changed.
    """
    return _found(name_or_path).on(device)


def _found(name_or_path: Path | str) -> Reader:
    if info := registry.shipped(name_or_path):
        reader = _load(registry.released(info, info.file), registry.WEIGHTS / info.file, info.name)
        if info.face:
            reader = replace(reader, known_face=known_face.from_json(registry.released(info, info.face)))
        return replace(reader, fallback=replace(_found(info.fallback), name=info.name)) if info.fallback else reader
    path = Path(name_or_path)
    if path.is_dir():
        path = path / "model.onnx"  # of a training run
    if not path.is_file():
        if known := registry.taught(name_or_path):
            return _taught(known)
        if stored := registry.imported(name_or_path):
            return _from_file(stored.folder / "model.onnx", stored.name)
        wrong = "a folder without a finished run" if Path(name_or_path).is_dir() else "no such model"
        raise ModelError(
            f"{name_or_path}: {wrong}; give one of {registry.described()}, a finished run's folder or an .onnx file"
        )
    reader, fallback = _from_file(path, str(name_or_path)), path.with_name(registry.FALLBACK)
    if path.name == "model.onnx" and fallback.is_file():
        return replace(reader, fallback=_from_file(fallback, str(name_or_path)))
    return reader


def _from_file(path: Path, name: str) -> Reader:
    return _load(content_of(path, "check the file's permissions"), path, name)


def _taught(model: registry.TaughtModel) -> Reader:
    try:
        reader = _found(model.folder / "run" if model.trained else model.base)
    except ModelError as error:
        if model.trained:
            raise
        raise ModelError(f"{model.name}: was taught on {model.base}, which can't be loaded: {error}") from error
    path = model.folder / "templates.npz"
    taught = templates.load(path) if path.is_file() else None  # none of those that practised GRID's sentences
    if taught and taught.network != reader.checksum:
        raise ModelError(f"{model.name}: {model.base} has changed since it was taught; run 'gunileo teach' again")
    return replace(reader, name=model.name, templates=taught)


def _load(content: bytes, path: Path, name: str) -> Reader:
    if _OUTSIDE.search(content):
        raise ModelError(f"{path}: keeps weights in another file, which is not read; export it as one file")
    session = Session(content, path)
    properties = session.metadata()
    metadata = parse_metadata(properties, path)
    try:
        calibrations = stored_calibrations(path, session.checksum) or from_json(properties.get("calibration", "{}"))
        times = timing.from_json(properties["timing"]) if "timing" in properties else None
    except ValueError as error:
        raise ModelError(f"{path}: its calibration can't be understood ({error}); export it again") from error
    try:
        words = tuple(json.loads(properties["config"])["words"]) if "words" in session.outputs() else ()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: doesn't tell which words it names ({error}); export it again") from error
    return Reader(
        name,
        session,
        words,
        shapes="shape" in session.inputs(),
        checksum=session.checksum,
        metadata=metadata,
        view=metadata.view(),
        search=metadata.search(path.parent),
        calibrations=calibrations,
        timing=times,
    )
