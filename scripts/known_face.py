"""Learn the one face that a shipped model knows: python scripts/known_face.py CACHE [--name labial-wide] [--only LIST]

Writes src/gunileo/inference/weights/NAME.face.json and enters it in models.json. A model that has NAME as its fallback
then asks it only about clips that show this face. Run it each time scripts/ship.py has shipped NAME, which leaves the
face out. It learns from the clips of LIST, NAME's training clips (grid_s1_train), all of one speaker, and from the
clips of all others but the speakers of grid_unseen_valid. Prints the scores of clips that it did not learn from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import numpy as np

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.split import listed, split
from gunileo.inference.known_face import Array, KnownFace, learn, mean_look, to_json
from gunileo.inference.registry import WEIGHTS
from gunileo.util.files import write_whole


def main() -> None:
    """Learn, measure, register."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cache", type=Path, help="a cache with clips of this and other speakers")
    parser.add_argument("--name", default="labial-wide", help="shipped model that knows one speaker")
    parser.add_argument("--only", default="grid_s1_train", help="list of the clips that the model was trained on")
    arguments = parser.parse_args()

    cache = Cache(arguments.cache)
    clips = [utterance for utterance in cache.utterances if utterance.has_crops]
    taught = split(clips, listed(arguments.only))
    speakers, unseen = {one.speaker for one in taught}, set(listed("grid_unseen_valid"))
    others = looks_by_speaker(cache, (one for one in clips if one.speaker not in speakers | unseen))
    if len(speakers) != 1 or len(others) < 2:
        raise SystemExit(f"{arguments.cache}: needs one speaker of {arguments.only}, and two others")
    known = looks(cache, taught)
    face = learn(known, list(others.values()))

    if own := [one for one in clips if one.speaker in speakers and one not in taught]:
        report("own clips, not learnt from", face, looks(cache, own))
    for speaker, seen in looks_by_speaker(cache, (one for one in clips if one.speaker in unseen)).items():
        report(f"{speaker}, not learnt from", face, seen)
    for speaker, seen in others.items():
        rest = [one for name, one in others.items() if name != speaker]
        report(f"{speaker}, left out in turn", learn(known, rest), seen)
    register(arguments.name, to_json(face))


def looks(cache: Cache, utterances: Iterable[CachedUtterance]) -> Array:
    """The look of each clip, [clips, 150]."""
    return np.stack([mean_look(cache.load(one)) for one in utterances])


def looks_by_speaker(cache: Cache, utterances: Iterable[CachedUtterance]) -> dict[str, Array]:
    """The looks of each speaker's clips."""
    ordered = sorted(utterances, key=lambda one: one.speaker)
    return {speaker: looks(cache, some) for speaker, some in groupby(ordered, lambda one: one.speaker)}


def report(who: str, face: KnownFace, seen: Array) -> None:
    """Print the scores of some clips."""
    scores = [face.score(look) for look in seen]
    taken = sum(score > 0 for score in scores)
    print(f"{who}: {taken} of {len(scores)} clips taken for it; scores {min(scores):.2f} to {max(scores):.2f}")


def register(name: str, content: str) -> None:
    """Write the file and enter it, with its checksum, in the model's entry of models.json."""
    file, registry = f"{name}.face.json", WEIGHTS / "models.json"
    entries = json.loads(registry.read_text(encoding="utf-8"))
    entry = next((one for one in entries if one["name"] == name), None)
    if entry is None:
        raise SystemExit(f"{name}: no shipped model; ship it first (scripts/ship.py)")
    write_whole(WEIGHTS / file, content)
    entry["face"] = file
    entry["sha256"][file] = hashlib.sha256(content.encode()).hexdigest()
    entry["bytes"][file] = len(content.encode())
    write_whole(registry, json.dumps(entries, indent=2) + "\n")


if __name__ == "__main__":
    main()
