"""How fast models of the published sizes read: python benchmarks/published.py [--small] [--rounds N]

Makes up weights of the sizes of VSR-ML's models (52 million parameters) and Auto-AVSR's (250 million), converts them
as 'gunileo import' does, and times three seconds of video on two threads: the encoder, and the search with beams of 10
and 40. A text has 22 characters or 12 pieces, as many as an English sentence of that length. Beside it stands the
published implementation in plain PyTorch, by its description: the layers as they were trained, and a search that keeps
each layer's outputs, as the published one does. The two take turns. Prints medians, the ratio of both together, and
how far their outputs differ: features, and the scores of the five best texts. Prints what the import takes, and
start-up and memory of reading alone, too. What made-up weights spell has no meaning; only time is measured.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import published_torch
import published_torch_search
import torch

from gunileo.decoding.vocabulary import Vocabulary
from gunileo.inference.session import Session
from gunileo.published.conformer import Settings
from gunileo.published.convert import write_model
from gunileo.published.search import AttentionSearch, Hypothesis, Weighting, load
from gunileo.published.weights import Tensors

FRAMES, CTC = 75, 0.1
SIZES = {  # and the tokens of a text
    "52 million": (Settings(("<blank>", *map(str, range(39)), "<eos>"), 256, 4, 2048, 12, 2048, 6, 31), 22),
    "250 million": (Settings(("<blank>", *map(str, range(5047)), "<eos>"), 768, 12, 3072, 12, 3072, 6, 31), 12),
}
NAMES = ["log_probabilities", "features"]


@dataclass(frozen=True)
class Short(AttentionSearch):
    """A search whose texts end after ``length`` tokens, as made-up weights never come to an end."""

    length: int = 1

    def _parted(self, live: Any, last: bool) -> tuple[Any, list[Hypothesis]]:
        return super()._parted(live, last or len(live.tokens[0]) > self.length)


def in_turns(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Medians of the seconds that both take, after one run of each that isn't counted."""
    spent: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for run, times in zip((ours, theirs), spent, strict=True):
            start = time.perf_counter()
            run()
            if number:
                times.append(time.perf_counter() - start)
    return statistics.median(spent[0]), statistics.median(spent[1])


def made_up(settings: Settings, folder: Path) -> tuple[published_torch.Conformer, float]:
    """A network with random weights, which is imported into ``folder``; and the seconds that the import takes."""
    torch.manual_seed(0)
    network = published_torch.Conformer(settings).eval()
    weights = {key: value.numpy() for key, value in network.state_dict().items()}
    start = time.perf_counter()
    write_model(folder, Tensors(weights, "made up"), settings, {})
    spent = time.perf_counter() - start
    Weighting(40, CTC).write(folder / "search.json")
    return network, spent


def loaded(folder: Path, tokens: tuple[str, ...]) -> tuple[Session, AttentionSearch]:
    """The encoder and the search of an imported model."""
    path = folder / "model.onnx"
    return Session(path.read_bytes(), path), load(folder, Vocabulary(tokens))


def alone(folder: Path, tokens: tuple[str, ...]) -> tuple[float, float]:
    """In a process of its own: seconds to load, and gigabytes at most, also while it reads."""
    start = time.perf_counter()
    session, search = loaded(folder, tokens)
    started = time.perf_counter() - start
    logp, features = session.run(NAMES, {"regions": video()})
    replace(search, weighting=Weighting(10, CTC))(features[0], logp[0][:12])
    return started, peak()


def peak() -> float:
    """Gigabytes of this process at most, as Linux tells; what getrusage says begins with the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e6


def video() -> np.ndarray:
    """Three seconds of noise, as the networks take it."""
    return np.random.default_rng(0).standard_normal((1, 1, FRAMES, 88, 88)).astype(np.float32)


def best_five(found: Any) -> tuple[list[list[int]], np.ndarray]:
    """Tokens without the ends, and scores."""
    end = found[0].tokens[0]
    return [[t for t in one.tokens if t != end] for one in found[:5]], np.array([one.score for one in found[:5]])


def measure(name: str, settings: Settings, length: int, folder: Path, rounds: int) -> None:
    """Print the times of one size."""
    network, spent = made_up(settings, folder)
    parameters = sum(value.numel() for value in network.parameters())
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        started, memory = other.submit(alone, folder, settings.tokens).result()
    print(
        f"{name}: {parameters / 1e6:.1f} million parameters, converted and compared in {spent:.1f} s, "
        f"starts in {started:.1f} s, {memory:.1f} GB at most"
    )
    session, searching = loaded(folder, settings.tokens)
    crops, seconds = video(), FRAMES / 25
    logp, features = (each[0] for each in session.run(NAMES, {"regions": crops}))
    with torch.inference_mode():
        theirs = network.encode(torch.from_numpy(crops))
        posteriors = network.posteriors(theirs)
        differ = float(np.abs(theirs.numpy() - features).max() / np.abs(features).max())
        ours, plain = in_turns(
            lambda: session.run(NAMES, {"regions": crops}),
            lambda: network.posteriors(network.encode(torch.from_numpy(crops))),
            rounds,
        )
        print(f"  encoder   {ours:.2f} s, PyTorch {plain:.2f} s: {plain / ours:.1f} times; differ by {differ:.0e}")
        for beam in (10, 40):
            parts = (searching.source, searching.steps, Weighting(beam, CTC))
            run = partial(Short(*parts, length=length), features, logp)
            theirs_run = partial(published_torch_search.search, network, theirs, posteriors, beam, CTC, length)
            (texts, scores), (others, wanted) = best_five(run()), best_five(theirs_run())
            same = "the same" if texts == others else "OTHER"
            differ = float(np.abs(scores / wanted - 1).max())
            found, slow = in_turns(run, theirs_run, rounds)
            whole, both = ours + found, plain + slow
            print(
                f"  beam {beam:2}   {found:.2f} s for {length} tokens, PyTorch {slow:.2f} s: {slow / found:.1f} times; "
                f"{same} five best, scores differ by {differ:.0e}\n"
                f"  together  {whole:.2f} s, {seconds / whole:.1f} x real time; PyTorch {both:.2f} s: "
                f"{both / whole:.1f} times"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="the model of 52 million parameters alone")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    for name, (settings, length) in SIZES.items():
        if not (arguments.small and name != "52 million"):
            with tempfile.TemporaryDirectory() as folder:
                measure(name, settings, length, Path(folder), arguments.rounds)


if __name__ == "__main__":
    main()
