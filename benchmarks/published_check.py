"""How far an import's ONNX files are off, when they are right and when not: python benchmarks/published_check.py

Makes up networks of VSR-ML's smaller size (52 million parameters), converts each and compares it as 'gunileo import'
does: the ONNX files, with Winograd's convolutions in float32, and a pass in plain NumPy in double precision. The batch
normalisation's variances lie over several decades: either at random, or as the network's own activations have them,
whose channels' sizes lie over as many decades. Then it makes mistakes, one at a time. Prints how far front end,
encoder and CTC layer are off, as a share of the largest number.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import published_torch
import torch

from gunileo.inference.session import Session
from gunileo.published.check import LIMIT
from gunileo.published.conformer import Settings, encoder_graph
from gunileo.published.forward import encoded
from gunileo.published.weights import Tensors

SETTINGS = Settings(("<blank>", *map(str, range(39)), "<eos>"), 256, 4, 2048, 12, 2048, 6, 31)
NAMES = ["frontend", "features", "log_probabilities"]
BLOCK, NEXT = "encoder.encoders.5.", "encoder.encoders.6."
MISTAKES = {  # two tensors in each other's place, or a number more in one
    "biases of two layers swapped": (f"{BLOCK}feed_forward.w_1.bias", f"{NEXT}feed_forward.w_1.bias"),
    "biases of two queries swapped": (f"{BLOCK}self_attn.linear_q.bias", f"{NEXT}self_attn.linear_q.bias"),
    "u and v swapped": (f"{BLOCK}self_attn.pos_bias_u", f"{BLOCK}self_attn.pos_bias_v"),
    "two layers of positions swapped": (
        f"{BLOCK}self_attn.linear_pos.weight",
        f"{NEXT}self_attn.linear_pos.weight",
    ),
    "two variances swapped": (f"{BLOCK}conv_module.norm.running_var", f"{NEXT}conv_module.norm.running_var"),
    "one weight of 52 million more by 1": (f"{BLOCK}feed_forward.w_2.weight", ""),
}

Weights = dict[str, np.ndarray]


def clip(frames: int) -> np.ndarray:
    """Noise, [1, 1, T, 88, 88]."""
    return np.random.default_rng(0).standard_normal((1, 1, frames, 88, 88)).astype(np.float32)


def spread(network: published_torch.Conformer, decades: float, own: bool) -> Weights:
    """The network's weights with variances over ``decades``: of its ``own`` activations, or else at random."""
    random = np.random.default_rng(0)
    weights = {name: one.numpy().copy() for name, one in network.state_dict().items()}
    for name, one in weights.items():
        if own and re.search(r"trunk.*conv\d.weight", name):
            one *= 10 ** random.uniform(-decades / 4, decades / 4, (len(one), 1, 1, 1))
        elif name.endswith("running_var"):
            one[:] = 10 ** random.uniform(-decades / 2, decades / 2, len(one))
            weights[name.replace("running_var", "running_mean")][:] = random.standard_normal(len(one)) * np.sqrt(one)
    if not own:
        return weights
    network.load_state_dict({name: torch.from_numpy(one) for name, one in weights.items()})
    for module in network.train().modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        network.encode(torch.from_numpy(clip(40)))
    return {name: one.numpy().copy() for name, one in network.eval().state_dict().items()}


def converted(weights: Weights) -> list[np.ndarray]:
    """What an encoder's ONNX file makes of a clip."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        encoder_graph(Tensors(weights, "made up"), SETTINGS).write(path, {})
        return [one[0] for one in Session(path.read_bytes(), path).run(NAMES, {"regions": clip(16)})]


def show(title: str, found: list[np.ndarray], expected: tuple[np.ndarray, ...]) -> None:
    """Print how far it is off."""
    off = [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected, strict=True)]
    print(f"{title:42} {off[0]:8.0e} {off[1]:8.0e} {off[2]:8.0e}{'  refused' if max(off) > LIMIT else ''}")


def main() -> None:
    """Measure and print."""
    torch.manual_seed(0)
    network = published_torch.Conformer(SETTINGS)
    start = {name: one.clone() for name, one in network.state_dict().items()}
    print(f"{'':42} {'front end':>9} {'encoder':>7} {'CTC':>8}")
    for own in (False, True):
        for decades in (0, 2, 4, 8, 12) if own else (0, 2, 4, 8):
            network.load_state_dict(start)
            weights = spread(network, decades, own)
            right = encoded(weights, SETTINGS, clip(16)[0, 0])
            kind = "of its activations" if own else "at random"
            show(f"variances {kind}, {decades} decades", converted(weights), right)
    for title, (first, second) in MISTAKES.items():
        wrong = dict(weights)
        if second:
            wrong[first], wrong[second] = weights[second], weights[first]
        else:
            wrong[first] = weights[first].copy()
            wrong[first].flat[5] += 1
        show(title, converted(wrong), right)


if __name__ == "__main__":
    main()
