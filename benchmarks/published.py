"""How fast models of the published sizes read: python benchmarks/published.py [--small]

Makes up weights of the sizes of VSR-ML's models (52 million parameters) and Auto-AVSR's (250 million), converts them
as 'gunileo import' does, and times three seconds of video on two threads: the encoder, and the search for ten tokens
with beams of 10 and 40. Beside it stand the same layers in plain PyTorch: a convolution
over three dimensions, batch normalisations apart, and a decoder that reads all of the text anew for each token. (The
published one keeps each layer's results of the tokens before, and is faster than that.) Prints start-up and memory,
too. ``--small`` leaves out the large one. What made-up weights spell has no meaning; only time is measured.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import published_torch
import torch

from gunileo.decoding.vocabulary import Vocabulary
from gunileo.inference.session import Session
from gunileo.published.conformer import Settings
from gunileo.published.convert import write_model
from gunileo.published.search import Weighting, load
from gunileo.published.weights import Tensors

FRAMES, TOKENS = 75, 10
SIZES = {
    "52 million": Settings(("<blank>", *map(str, range(39)), "<eos>"), 256, 4, 2048, 12, 2048, 6, 31),
    "250 million": Settings(("<blank>", *map(str, range(5047)), "<eos>"), 768, 12, 3072, 12, 3072, 6, 31),
}


def best_of(run: Callable[[], object], times: int = 3) -> float:
    """The shortest of some runs, in seconds, after one that isn't counted."""
    run()
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return min(spent)


def measure(name: str, settings: Settings, folder: Path) -> None:
    """Print the times of one size."""
    torch.manual_seed(0)
    network = published_torch.Conformer(settings).eval()
    weights = {key: value.numpy() for key, value in network.state_dict().items()}
    write_model(folder, Tensors(weights, name), settings, {})
    parameters = sum(value.numel() for value in network.parameters())
    path = folder / "model.onnx"
    start = time.perf_counter()
    session = Session(path.read_bytes(), path)
    Weighting().write(folder / "search.json")
    search = load(folder, Vocabulary(settings.tokens))
    started = time.perf_counter() - start
    video = np.random.default_rng(0).standard_normal((1, 1, FRAMES, 88, 88)).astype(np.float32)
    names = ["log_probabilities", "features"]
    logp, features = session.run(names, {"regions": video})
    with torch.inference_mode():
        theirs = network.encode(torch.from_numpy(video))
        difference = float(np.abs(theirs.numpy() - features[0]).max() / np.abs(features).max())
        ours = best_of(lambda: session.run(names, {"regions": video}))
        plain = best_of(lambda: network.encode(torch.from_numpy(video)))
    print(f"{name}: {parameters / 1e6:.1f} million parameters, started in {started:.1f} s")
    print(
        f"  encoder   {ours:.2f} s; plain PyTorch {plain:.2f} s, {plain / ours:.1f} times; differ by {difference:.1e}"
    )
    for beam in (10, 40):
        narrow = replace(search, weighting=Weighting(beam, 0.1))
        short = logp[0, :TOKENS]  # as many steps as frames at most
        ours = best_of(lambda narrow=narrow, short=short: narrow(features[0], short), 2)  # type: ignore[misc]
        with torch.inference_mode():
            plain = best_of(lambda beam=beam: network.decode(theirs, beam, TOKENS), 1)  # type: ignore[misc]
        print(f"  beam {beam:2}   {ours:.2f} s for {TOKENS} tokens; plain PyTorch's decoder alone {plain:.2f} s")
    print(
        f"  memory    {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB at most, PyTorch's copy in it"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="the model of 52 million parameters alone")
    small = parser.parse_args().small
    torch.set_num_threads(2)
    for name, settings in SIZES.items():
        if not (small and name != "52 million"):
            with tempfile.TemporaryDirectory() as folder:
                measure(name, settings, Path(folder))


if __name__ == "__main__":
    main()
