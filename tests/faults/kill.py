"""Kill prepare, train and download at random moments, resume, and compare with an undisturbed run.

    python tests/faults/kill.py --kills 50

After each kill, what is in the folder must be a part of what the undisturbed run leaves; after the resume, all of it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from zenodo import Zenodo, packed

from gunileo.corpus import find_corpus
from gunileo.prepare import Cache, prepare
from gunileo.synthetic import make_corpus

Summary = dict[str, Any]  # what is compared: files by checksum, figures by value

PREPARE = """
import sys
from gunileo.corpus import find_corpus
from gunileo.prepare import prepare
if __name__ == "__main__":
    utterances = find_corpus(sys.argv[2]).utterances
    print("go", flush=True)
    prepare(utterances, sys.argv[1], workers=2)
"""
TRAIN = """
import sys
from pathlib import Path
from gunileo.errors import GunileoError
from gunileo.prepare import Cache
from gunileo.train import Settings, train
cache = Cache(sys.argv[2])
tiny = {"batch_size": 2, "channels": (2, 2, 2), "precision": "32-true", "workers": 0, "device": "cpu"}
settings = Settings(epochs=int(sys.argv[3]), **tiny)
print("go", flush=True)
try:
    train(cache, cache.utterances[:4], cache.utterances[4:], Path(sys.argv[1]), settings, resume=True)
except GunileoError as error:
    if "still blank" not in str(error):  # which so short a run may well be
        raise
"""
DOWNLOAD = """
import sys
from pathlib import Path
from gunileo.download import download
print("go", flush=True)
download("grid", Path(sys.argv[1]), None, lambda line: None, sys.argv[2])
"""


@dataclass
class Job:
    """Something that is killed: a script that is given a folder and ``source``, and what it leaves in the folder."""

    name: str
    script: str
    source: str
    summarise: Callable[[Path], Summary]
    rest: tuple[str, ...] = ()
    seconds: float = 0.0  # from "go" to the end, undisturbed
    whole: Summary = field(default_factory=dict)

    def start(self, folder: Path) -> subprocess.Popen[str]:
        """The script, begun; returns once its imports are done."""
        file = folder.parent / "script.py"
        file.write_text(self.script)
        command = [sys.executable, str(file), str(folder), self.source, *self.rest]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "go\n", process.stderr and process.stderr.read()
        return process

    def finish(self, folder: Path) -> float:
        """The script, run to its end; in how many seconds."""
        process = self.start(folder)
        since = time.monotonic()
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        return time.monotonic() - since

    def undisturbed(self, place: Path) -> None:
        place.mkdir()
        self.seconds = self.finish(place / "out")
        self.whole = self.summarise(place / "out")

    def kill(self, place: Path, moment: float) -> bool:
        """Kill a run ``moment`` seconds after its imports, check, resume, compare; whether it was still running."""
        place.mkdir()
        folder = place / "out"
        process = self.start(folder)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        if folder.exists():
            for name, value in self.summarise(folder).items():
                assert is_part(value, self.whole[name]), f"{self.name}: {name} is half written after {moment:.2f} s"
        self.finish(folder)
        left = self.summarise(folder)
        assert left == self.whole, f"{self.name}: killed after {moment:.2f} s and resumed, another result: {left}"
        assert not [path for path in folder.rglob("*") if path.name.endswith(".part") or path.name == ".lock"]
        shutil.rmtree(place)
        return process.returncode == -signal.SIGKILL


def is_part(value: Any, whole: Any) -> bool:
    """Whether what is there is so in the undisturbed result: values equal, of lists and tables a part."""
    if isinstance(value, dict):
        return all(name in whole and is_part(inner, whole[name]) for name, inner in value.items())
    if isinstance(value, list):
        return value == whole[: len(value)]
    return bool(value == whole)


def checksums(folder: Path, *left_out: str) -> Summary:
    """Of all files but hidden ones and those whose path begins with any of ``left_out``."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
        if not (name := path.relative_to(folder).as_posix()).startswith(left_out)
    }


def cache_of(folder: Path) -> Summary:
    """Pictures by checksum; the manifest's entries, each there once and with its picture."""
    entries = {}
    if (folder / "cache.json").exists():
        cache = Cache(folder)
        lines = (folder / "manifest.jsonl").read_bytes().splitlines(True) if cache.utterances else []
        assert sum(line.endswith(b"\n") for line in lines) == len(cache.utterances), "an utterance is there twice"
        entries = {clip.id: [clip.text, clip.words, len(cache.load(clip))] for clip in cache.utterances}
    return {"pictures": checksums(folder, "manifest.jsonl"), "entries": entries}


def run_of(folder: Path) -> Summary:
    """Figures of all epochs, and files but for those that are drawn anew or are PyTorch's own.

    The curve is of the figures, TensorBoard's files have the time in them, a checkpoint is replaced in each epoch.
    """
    figures = []
    if (folder / "metrics.csv").exists():
        with (folder / "metrics.csv").open(newline="") as file:
            figures = [{name: round(float(value), 6) for name, value in row.items()} for row in csv.DictReader(file)]
    return {"figures": figures, "files": checksums(folder, "metrics.csv", "curve.png", "tensorboard", *CHECKPOINTS)}


CHECKPOINTS = ("last.ckpt", "best.ckpt")


def corpus_of(folder: Path) -> Summary:
    """Files, and the receipts, which say nothing that isn't there; archives on their way don't count."""
    receipts = {}
    if (folder / "downloaded.json").exists():
        receipts = json.loads((folder / "downloaded.json").read_text())
    for receipt in receipts.values():
        assert all((folder / file).stat().st_size == size for file, size in receipt["files"].items())
    return {"files": checksums(folder, "archives", "downloaded.json"), "receipts": receipts}


def jobs(corpus: Path, cache: Path, epochs: int, stack: ExitStack) -> list[Job]:
    """What is killed: the corpus prepared, its cache trained on, a corpus of three talkers fetched from a server."""
    noise = random.Random(0)
    archives = {f"s{t}.zip": packed({f"s{t}/bbaf{t}n.mpg": noise.randbytes(2_000_000)}) for t in (1, 2, 3)}
    labels = {f"alignments/s{t % 3 + 1}/bbaf{t}n.align": b"0 1 sil\n" for t in (1, 2, 3)}
    server = Zenodo("grid", archives | {"alignments.zip": packed(labels)})
    server.pause = 0.005
    stack.enter_context(server.serving())
    return [
        Job("prepare", PREPARE, str(corpus), cache_of),
        Job("train", TRAIN, str(cache), run_of, (str(epochs),)),
        Job("download", DOWNLOAD, server.address, corpus_of),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of each job")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", default="prepare,train,download")
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = Path(folder)
        make_corpus(place / "corpus", ["bbaf2n", "lwws9a", "pgiozs"], talkers=2)
        prepare(find_corpus(place / "corpus").utterances, place / "cache", workers=1)
        for job in jobs(place / "corpus", place / "cache", 6, stack):
            if job.name not in arguments.jobs.split(","):
                continue
            job.undisturbed(place / f"{job.name}-whole")
            caught = 0
            for number in range(arguments.kills):
                caught += job.kill(place / f"{job.name}-{number}", moments.uniform(0, job.seconds))
            print(
                f"{job.name:9} {arguments.kills} runs of {job.seconds:.1f} s, {caught} killed before their end; "
                "all resumed to the same files and figures, nothing half written, lost or doubled",
                flush=True,
            )


if __name__ == "__main__":
    main()
