"""Kill what writes at random moments by SIGKILL, begin it again, and compare with an undisturbed run.

    python tests/faults/kill.py --kills 50 --jobs prepare,train,download,teach,serve

``teach`` trains a network on a new recording of a taught model; ``serve`` is the server while recordings are sent to it
and a enrolment makes a model of them. After each kill, what is there must be a part of what the undisturbed run leaves,
or as it was before; after the second run it must be all of it and nothing else.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))
from zenodo import Zenodo, packed

from gunileo.corpus.cache import Cache
from gunileo.corpus.finders import find_corpus
from gunileo.corpus.prepare import prepare
from gunileo.corpus.synthetic import make_corpus, speak
from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.vision.video import write_video

Summary = dict[str, Any]  # what is compared: files by checksum, figures by value

TAKES = {"lights on": "bbaf2n", "lights off": "lwws9a", "play music": "pgiozs"}  # as what the portrait says
TINY = {"batch_size": 2, "precision": "32-true", "workers": 0, "device": "cpu"}


# What is killed: each goes on where it was broken off.


def prepares(folder: Path, corpus: Path) -> None:
    prepare(find_corpus(corpus).utterances, folder, workers=2)


def trains(folder: Path, prepared: Path, epochs: int) -> None:
    from gunileo.training.config import TrainingConfig
    from gunileo.training.train import train

    clips = Cache(prepared)
    settings = TrainingConfig(epochs=epochs, channels=(2, 2, 2), **TINY)
    try:
        train(clips, clips.utterances[:4], clips.utterances[4:], folder, settings, resume=True)
    except GunileoError as error:
        if "still blank" not in str(error):  # which so short a run may well be
            raise


def downloads(folder: Path, address: str) -> None:
    from gunileo.corpus.download import download

    download("grid", folder, None, print, address)


def teaches(folder: Path, recordings: Path, base: Path) -> None:
    from gunileo.teaching.teach import teach
    from gunileo.training import fine_tune

    os.environ["GUNILEO_HOME"] = str(folder / "home")
    teaching = fine_tune.teaching
    fine_tune.teaching = lambda *given: replace(teaching(*given), epochs=2, samples=4, **TINY)
    teach(recordings, "kitchen", str(base), train=True)


def serves(folder: Path, recordings: Path) -> None:
    """The server, and one who records what isn't there yet, has an enrolment begun and waits for its end."""
    import httpx
    import uvicorn

    from gunileo.server.app import create_app
    from gunileo.server.jobs import Limits

    os.environ["GUNILEO_HOME"] = str(folder / "home")
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(folder / "tmp")
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(limits=Limits(work=1200)), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    address = f"http://127.0.0.1:{bound.getsockname()[1]}/v1/taught/kitchen"
    try:
        with httpx.Client(timeout=1200) as client:
            _records(client, address, recordings)
    finally:
        server.should_exit = True
        thread.join()


def _records(client: Any, address: str, recordings: Path) -> None:
    there = {recording["text"] for recording in client.get(address).json()["recordings"]}
    for text in TAKES:
        if text not in there:
            sent = {"file": (f"{text}.mp4", (recordings / f"{text}.mp4").read_bytes())}
            client.post(f"{address}/recordings", params={"text": text}, files=sent).raise_for_status()
    enrolment: dict[str, Any] = {"error": "another process"}
    while "another process" in (enrolment["error"] or ""):  # the killed server's has a moment left
        enrolment = client.post(f"{address}/enrolment").raise_for_status().json()["enrolment"]
        while enrolment["running"]:
            time.sleep(0.05)
            enrolment = client.get(address).json()["enrolment"]
    assert not enrolment["error"], enrolment


@cache
def warm() -> ForkServerContext:
    """Begins processes that have all imports done, so that these take no part of the time in which it is killed."""
    context = multiprocessing.get_context("forkserver")
    ours = ["gunileo.training.train", "gunileo.teaching.teach", "gunileo.server.app"]
    context.set_forkserver_preload([*ours, "uvicorn", "httpx"])
    return context


def _quietly(work: Callable[..., None], folder: Path, said: Path, arguments: tuple[Any, ...]) -> None:
    """A process's work, what it says in a file."""
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    work(folder, *arguments)


@dataclass
class Job:
    """Something that is killed: work that is given a folder and ``arguments``, and what it leaves in the folder."""

    name: str
    work: Callable[..., None]
    arguments: tuple[Any, ...]
    summarise: Callable[[Path], Summary]
    before: Path | None = None  # what the folder holds at first
    seconds: float = 0.0  # of the last run that wasn't killed
    whole: Summary = field(default_factory=dict)
    first: Summary = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def begin(self, place: Path) -> BaseProcess:
        process = warm().Process(target=_quietly, args=(self.work, place / "out", place / "said", self.arguments))
        process.start()
        return process

    def folder(self, place: Path) -> Path:
        place.mkdir()
        if self.before:
            shutil.copytree(self.before, place / "out")
        return place / "out"

    def finish(self, place: Path) -> float:
        """The work, run to its end; in how many seconds."""
        process, since = self.begin(place), time.monotonic()
        process.join()
        assert process.exitcode == 0, (place / "said").read_text()
        return time.monotonic() - since

    def undisturbed(self, place: Path) -> None:
        folder = self.folder(place)
        if self.before:
            self.first = self.summarise(folder)
        self.seconds = self.finish(place)
        self.whole, self.names = self.summarise(folder), names_in(folder)

    def kill(self, place: Path, moment: float) -> bool:
        """Kill a run after ``moment`` seconds, check, begin again, compare; whether it was still running."""
        folder = self.folder(place)
        process, since = self.begin(place), time.monotonic()
        process.join(moment)
        process.kill()
        process.join()
        killed = process.exitcode == -signal.SIGKILL
        assert killed or process.exitcode == 0, (place / "said").read_text()
        if not killed:  # the machine is less busy than it was when it was timed
            self.seconds = time.monotonic() - since
        if folder.exists():
            for name, value in self.summarise(folder).items():
                fine = is_part(value, self.whole[name]) or value == self.first.get(name)
                assert fine, f"{self.name}: {name} is half written after {moment:.2f} s: {value}"
        self.finish(place)
        left = self.summarise(folder)
        assert left == self.whole, f"{self.name}: killed after {moment:.2f} s and begun again, another result: {left}"
        until = time.monotonic() + 60
        while (more := names_in(folder) ^ self.names) and time.monotonic() < until:
            time.sleep(0.1)  # the killed server's worker takes its files away
        assert not more, f"{self.name}: killed after {moment:.2f} s, left {more}"
        shutil.rmtree(place)
        return killed

    def kill_often(self, place: Path, kills: int, moments: random.Random) -> int:
        """Runs that were begun until so many of them were killed before their end."""
        place.mkdir()
        self.undisturbed(place / "whole")
        runs = killed = 0
        while killed < kills:
            assert runs < 20 * kills, "it always ended before it was killed"
            killed += self.kill(place / str(runs), moments.uniform(0, self.seconds))
            runs += 1
        return runs


def is_part(value: Any, whole: Any) -> bool:
    """Whether what is there is so in the undisturbed result: values equal, of lists and tables a part."""
    if isinstance(value, dict):
        return all(name in whole and is_part(inner, whole[name]) for name, inner in value.items())
    if isinstance(value, list):
        return value == whole[: len(value)]
    return bool(value == whole)


def names_in(folder: Path) -> set[str]:
    """All files, hidden ones too, by names that are the same in each run: no version's, no log's."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {re.sub(r"(models/\w+)/[^/]+/", r"\1/VERSION/", name).partition("tensorboard")[0] for name in found}


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


def home_of(folder: Path, recordings: Path) -> Summary:
    """The models that are listed, each of which can be loaded; recordings, by text and checksum; the user's."""
    from gunileo.inference.load import load_model
    from gunileo.server.recordings import listed, recorded

    with patch.dict(os.environ, {"GUNILEO_HOME": str(folder / "home")}):
        models = {}
        for model in registry.taught_models():
            load_model(model.name)
            told = {name: value for name, value in asdict(model).items() if name not in ("made", "version")}
            run = run_of(model.folder / "run")["figures"] if model.trained else []
            models[model.name] = [told, run, checksums(model.folder, "run/tensorboard", "run/curve.png")]
        kept = {}
        for name in recorded():
            for recording in listed(name):
                (clip,) = (registry.home() / "recordings" / name).glob(f"{recording.id}.mp4")
                kept[recording.id] = [recording.text, hashlib.sha256(clip.read_bytes()).hexdigest()]
    return {"models": models, "recordings": kept, "own": checksums(recordings)}


def film(folder: Path) -> Path:
    """Recordings: clips with a text beside each."""
    folder.mkdir()
    for text, code in TAKES.items():
        write_video(folder / f"{text}.mp4", speak(code)[0])
        (folder / f"{text}.txt").write_text(text)
    return folder


def small_run(folder: Path) -> Path:
    """A finished run of a small network that has learnt nothing."""
    import torch

    from gunileo.training.export import export_onnx
    from gunileo.training.model import LabialCNN, ModelConfig
    from gunileo.training.weights import save_model

    folder.mkdir()
    torch.manual_seed(0)
    network = LabialCNN(ModelConfig(channels=(2, 3, 4), hidden=8))
    save_model(network, folder / "model.safetensors")
    export_onnx(network, folder / "model.onnx")
    return folder


def teach_job(place: Path) -> Job:
    """A recording is added to what was taught, and the network trained."""
    from gunileo.teaching.teach import teach

    recordings, base = film(place / "recordings"), small_run(place / "base")
    fewer = place / "fewer"
    shutil.copytree(recordings, fewer, ignore=shutil.ignore_patterns("play music*"))
    with patch.dict(os.environ, {"GUNILEO_HOME": str(place / "before/home")}):
        teach(fewer, "kitchen", str(base))
    return Job("teach", teaches, (recordings, base), partial(home_of, recordings=recordings), place / "before")


def serve_job(place: Path) -> Job:
    recordings = film(place / "recordings")
    return Job("serve", serves, (recordings,), partial(home_of, recordings=recordings))


def download_job(stack: ExitStack) -> Job:
    """A corpus of three speakers, from a server of this machine."""
    noise = random.Random(0)
    archives = {f"s{t}.zip": packed({f"s{t}/bbaf{t}n.mpg": noise.randbytes(2_000_000)}) for t in (1, 2, 3)}
    labels = {f"alignments/s{t % 3 + 1}/bbaf{t}n.align": b"0 1 sil\n" for t in (1, 2, 3)}
    server = Zenodo("grid", archives | {"alignments.zip": packed(labels)})
    server.pause = 0.005
    stack.enter_context(server.serving())
    return Job("download", downloads, (server.address,), corpus_of)


def jobs(corpus: Path, prepared: Path, place: Path, epochs: int, stack: ExitStack) -> dict[str, Callable[[], Job]]:
    """What is killed, made where it is asked for in a folder that is there."""
    return {
        "prepare": lambda: Job("prepare", prepares, (corpus,), cache_of),
        "train": lambda: Job("train", trains, (prepared, epochs), run_of),
        "download": lambda: download_job(stack),
        "teach": lambda: teach_job(place),
        "serve": lambda: serve_job(place),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of each job")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", default="prepare,train,download,teach,serve")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = Path(folder)
        make_corpus(place / "corpus", ["bbaf2n", "lwws9a", "pgiozs"], speakers=2)
        prepare(find_corpus(place / "corpus").utterances, place / "cache", workers=1)
        for name in arguments.jobs.split(","):
            (place / name).mkdir()
            job = jobs(place / "corpus", place / "cache", place / name, 3, stack)[name]()
            runs = job.kill_often(place / name / "runs", arguments.kills, random.Random(arguments.seed))
            print(
                f"{name:9} {runs} runs of {job.seconds:.1f} s, {arguments.kills} killed before their end; "
                "all begun again came to the same files and figures; nothing half written, lost or doubled",
                flush=True,
            )


if __name__ == "__main__":
    main()
