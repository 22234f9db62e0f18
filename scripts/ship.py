"""Release a trained run: python scripts/ship.py RUN CACHE [--name labial] [--only LIST] [--split LIST] [--unseen RUN]

Writes src/gunileo/inference/weights/NAME.onnx and NAME.safetensors (float16, folded) from RUN/model.safetensors,
calibrates and measures the ONNX file on the split of CACHE, and enters both files in models.json beside them.

--unseen names an earlier run that some speakers were left out of (those of grid_unseen_valid). What is
known of speakers that were never seen is measured with it, and the calibration is its own: how far a guess at a new
face can be trusted shows only on faces that were not trained on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.split import listed, split, training_parts
from gunileo.decoding.ctc import DECODERS
from gunileo.evaluation.calibrate import calibrate
from gunileo.evaluation.evaluate import Evaluation, evaluate
from gunileo.evaluation.word_times import learn
from gunileo.inference.confidence import Calibrations
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.registry import ModelInfo
from gunileo.training.export import LICENSE, describe_calibration, export_onnx, rounded
from gunileo.training.weights import ARCHITECTURES, load_weights, parameters, save_model
from gunileo.util.files import write_whole
from gunileo.util.progress import progress
from gunileo.vision.crop import HEIGHT, WIDTH
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import MEASURES

WEIGHTS = Path(__file__).parents[1] / "src" / "gunileo" / "inference" / "weights"
UNSEEN = "grid_unseen_valid"
LIMIT = 20e6  # bytes that both files may take together
ATTRIBUTION = (
    "Trained on the GRID audiovisual sentence corpus by M. Cooke, J. Barker, S. Cunningham and X. Shao "
    "(JASA 120, 2006), https://zenodo.org/records/3625687, CC BY 4.0"
)


def arguments_given() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="folder of a finished training run")
    parser.add_argument("cache", type=Path, help="the cache that it was trained on")
    parser.add_argument("--split", default="grid_s1_valid", help="shipped list of the clips that were held back")
    parser.add_argument(
        "--only", default="grid_s1_train", help="as given to gunileo train: list of what was trained on; all, if empty"
    )
    parser.add_argument("--unseen", type=Path, metavar="RUN", help="earlier run without some speakers")
    parser.add_argument(
        "--fallback",
        metavar="NAME",
        help="shipped model that reads what it is sure of; as it was in models.json if left out, none if empty",
    )
    parser.add_argument("--name", choices=ARCHITECTURES, default="labial")
    return parser.parse_args()


def main() -> None:
    """Export, measure, register; nothing is registered that is too large or can't be read back."""
    arguments = arguments_given()
    cache = Cache(arguments.cache)
    names = listed(arguments.split)
    only = listed(arguments.only) if arguments.only else None
    trained, held = training_parts(cache.utterances, names, only)
    if len(held) < len(set(names)):
        raise SystemExit(f"{cache.path} has {len(held)} of the {len(set(names))} clips of {arguments.split}")

    WEIGHTS.mkdir(exist_ok=True)
    model = load_weights(arguments.run / "model.safetensors")
    shipped = rounded(model)
    onnx, weights = WEIGHTS / f"{arguments.name}.onnx", WEIGHTS / f"{arguments.name}.safetensors"
    export_onnx(model, onnx, arguments.name)
    judged = onnx
    unseen: list[CachedUtterance] = []
    if arguments.unseen:
        judged, chosen = arguments.unseen / "model.onnx", split(cache.utterances, listed(UNSEEN))
        unseen = [one for one in chosen if one.has_crops]
    describe_calibration(
        onnx, calibrated(judged, cache, unseen or held), learn(load_model(judged), cache, unseen or held)
    )
    save_model(shipped, weights, {"name": arguments.name, "license": LICENSE, "attribution": ATTRIBUTION}, half=True)
    weights.chmod(0o644)  # safetensors writes for its owner alone
    sizes = {path.name: path.stat().st_size for path in (onnx, weights)}
    if sum(sizes.values()) > LIMIT:
        raise SystemExit(f"{onnx} and {weights} take {sum(sizes.values()) / 1e6:.1f} MB; at most {LIMIT / 1e6:.0f} MB")
    fallback = fallback_of(arguments.name) if arguments.fallback is None else arguments.fallback
    evaluation = evaluate(paired(onnx, fallback), cache, held)
    info = describe(arguments.name, sizes, parameters(shipped), evaluation, trained, held, arguments.split)
    register(with_unseen(info, paired(judged, fallback), cache, unseen) if unseen else info, fallback)
    print(evaluation.to_text() + f"{onnx}, {weights}: {sum(sizes.values()) / 1e6:.1f} MB together")


def fallback_of(name: str) -> str:
    """The fallback that a model has had so far; "" if none."""
    return str(known().get(name, {}).get("fallback", ""))


def paired(onnx: Path, fallback: str) -> Reader:
    """The model with its fallback, if it is to have one, as it is read with when it is shipped."""
    reader = load_model(onnx)
    return replace(reader, fallback=replace(load_model(fallback), name=reader.name)) if fallback else reader


def with_unseen(info: ModelInfo, judged: Reader, cache: Cache, unseen: Sequence[CachedUtterance]) -> ModelInfo:
    """The entry with what another run, ``judged``, gets wrong of speakers that it never saw; printed too."""
    evaluation = evaluate(judged, cache, unseen)
    print(evaluation.to_text())
    return replace(
        info,
        unseen_wer_greedy=round(evaluation.scores["greedy"].wer, 5),
        unseen_wer_grammar=round(evaluation.scores["grammar"].wer, 5),
        unseen_on=f"{clips_of(unseen)}, left out of an earlier stage of its training ({UNSEEN})",
    )


def calibrated(onnx: Path, cache: Cache, held: Sequence[CachedUtterance]) -> Calibrations:
    """What the held-back clips tell of the model's confidences; a model that can't tell a guess is not shipped."""
    with progress("calibrating") as bar:
        calibrations = calibrate(load_model(onnx), cache, held, bar)
    if missing := set(DECODERS) - set(calibrations):
        raise SystemExit(f"{onnx}: reads too few of the held-back clips well to be calibrated: {', '.join(missing)}")
    return calibrations


def clips_of(utterances: Sequence[CachedUtterance]) -> str:
    """How many clips, of which speakers."""
    speakers = sorted({utterance.speaker for utterance in utterances}, key=lambda name: (len(name), name))
    shapes = sum(not utterance.has_crops for utterance in utterances)
    named = (
        f"GRID speaker{'s' * (len(speakers) > 1)} {', '.join(speakers)}"
        if len(speakers) < 8
        else f"{len(speakers)} GRID speakers"
    )
    return f"{len(utterances) - shapes} clips" + f" and {shapes} mouth shapes" * bool(shapes) + f" of {named}"


def describe(
    name: str,
    sizes: dict[str, int],
    count: int,
    evaluation: Evaluation,
    trained: Sequence[CachedUtterance],
    held: Sequence[CachedUtterance],
    split_name: str,
) -> ModelInfo:
    """The registry's entry of a measured model."""
    scores = evaluation.scores
    return ModelInfo(
        name=name,
        file=f"{name}.onnx",
        weights=f"{name}.safetensors",
        sha256={file: hashlib.sha256((WEIGHTS / file).read_bytes()).hexdigest() for file in sizes},
        bytes=sizes,
        parameters=count,
        wer_greedy=round(scores["greedy"].wer, 5),
        wer_grammar=round(scores["grammar"].wer, 5),
        cer_greedy=round(scores["greedy"].cer, 5),
        cer_grammar=round(scores["grammar"].cer, 5),
        milliseconds=round(milliseconds(name), 1),
        measured_on=f"{clips_of(held)} held back from training ({split_name})",
        trained_on=clips_of(trained),
        license=LICENSE,
        attribution=ATTRIBUTION,
    )


def milliseconds(name: str) -> float:
    """From a clip's crops to its words with the grammar: the median of nine after a first."""
    reader, took = load_model(WEIGHTS / f"{name}.onnx"), []
    random = np.random.default_rng(0)
    clip = MouthClip(
        random.integers(0, 256, (75, HEIGHT, WIDTH), np.uint8), random.uniform(1, 50, (75, MEASURES)).astype(np.float32)
    )
    for _ in range(10):
        begun = time.perf_counter()
        reader.transcribe_clip(clip, "noise")
        took.append(time.perf_counter() - begun)
    return 1000 * float(np.median(took[1:]))


def known() -> dict[str, dict[str, Any]]:
    """The entries of models.json, by name."""
    registry = WEIGHTS / "models.json"
    entries = json.loads(registry.read_text(encoding="utf-8")) if registry.exists() else []
    return {entry["name"]: entry for entry in entries}


def register(info: ModelInfo, fallback: str) -> None:
    """Put an entry into models.json, in place of one of the same name, with a fallback, or with none if that is ""."""
    entries = known()
    if fallback and fallback not in entries.keys() - {info.name}:
        raise SystemExit(f"{fallback}: no other shipped model, and so no fallback; ship it first")
    entries[info.name] = asdict(replace(info, fallback=fallback))
    ordered = sorted(entries.values(), key=lambda entry: str(entry["name"]))
    write_whole(WEIGHTS / "models.json", json.dumps(ordered, indent=2) + "\n")


if __name__ == "__main__":
    main()
