"""What smaller weights would cost an imported model: python benchmarks/published_rounding.py

Rounds the matrices of the made-up networks in shared/reference/conformer, to int8 with a scale for each output, or to
float16, and reads with them. Activations stay float32, so this is the least that such weights can do. Prints in how
many of the published searches the five best texts stay the same, and how far the best score and the encoder's features
are off, of the largest number.
"""

from __future__ import annotations

import runpy
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from gunileo.decoding.vocabulary import Vocabulary
from gunileo.inference.session import Session
from gunileo.published.convert import write_language_model, write_model
from gunileo.published.search import Weighting, load
from gunileo.published.weights import Tensors

WAYS = {"plain": (0.1, 0.0, 0.0), "ctc_half": (0.5, 0.0, 0.0), "penalty": (0.1, 0.0, 0.5), "lm": (0.1, 0.3, 0.0)}
PARTS = {  # the beginnings of the tensors' names; the language model's have no prefix of their own
    "front end": ("encoder.frontend.",),
    "conformer blocks": ("encoder.encoders.",),
    "decoder": ("decoder.",),
    "language model": (),
    "all": ("",),
}
CASES: Any = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "tests" / "published_models.py")))

Weights = dict[str, np.ndarray]


def int8(matrix: np.ndarray) -> np.ndarray:
    """To whole numbers from -127 to 127, times a scale for each output."""
    rows = matrix.reshape(len(matrix), -1)
    scale = np.abs(rows).max(1, keepdims=True) / 127
    return np.asarray((np.rint(rows / scale) * scale).reshape(matrix.shape), np.float32)


def float16(matrix: np.ndarray) -> np.ndarray:
    """To half precision."""
    return matrix.astype(np.float16).astype(np.float32)


def rounded(weights: Weights, starts: tuple[str, ...], how: Callable[[np.ndarray], np.ndarray]) -> Weights:
    """The weights, with the matrices rounded whose names begin so."""
    return {name: how(one) if one.ndim > 1 and name.startswith(starts) else one for name, one in weights.items()}


def read(name: str, weights: Weights, language: Weights, folder: Path, only_lm: bool) -> tuple[int, int, float, float]:
    """Searches with the same five best, all searches, and how far the worst score and the features are off."""
    write_model(folder, Tensors(weights, name), CASES.SETTINGS[name], {})
    write_language_model(folder, Tensors(language, "lm"), CASES.LANGUAGE["none"])
    path = folder / "model.onnx"
    video = {"regions": CASES.VIDEO[None]}
    logp, memory = Session(path.read_bytes(), path).run(["log_probabilities", "features"], video)
    features = CASES.reference("conformer", "expected.npz")[f"{name}/encoder"]
    off = float(np.abs(memory[0] - features).max() / np.abs(features).max())
    ways = {way: settings for way, settings in WAYS.items() if way == "lm" or not only_lm}
    same, worst = 0, 0.0
    for way, (ctc, lm, penalty) in ways.items():
        Weighting(5, ctc, lm, penalty).write(folder / "search.json")
        found = load(folder, Vocabulary(CASES.SETTINGS[name].tokens))(memory[0], logp[0])
        wanted = CASES.reference("conformer", "expected.json")["search"][f"{name}/{way}"]
        same += [list(one.tokens) for one in found] == [tokens for tokens, _, _ in wanted]
        worst = max(worst, abs(found[0].score / wanted[0][1] - 1))
    return same, len(ways), worst, off


def main() -> None:
    """Measure and print."""
    names = CASES.reference("conformer", "expected.json")["names"]
    print("| weights | rounded | same five best | best score differs by | features differ by |\n|---|---|---|---|---|")
    for how in (int8, float16):
        for part, starts in PARTS.items():
            lm = how if part in ("language model", "all") else np.asarray
            language = rounded(CASES.made_up(names["lm"]), ("",), lm)
            rows = []
            for name in CASES.SETTINGS:
                with tempfile.TemporaryDirectory() as folder:
                    weights = rounded(CASES.made_up(names[name]), starts, how)
                    rows.append(read(name, weights, language, Path(folder), part == "language model"))
            same, searches, worst, off = (list(column) for column in zip(*rows, strict=True))
            counts = f"{sum(same)} of {sum(searches)}"
            print(f"| {how.__name__} | {part} | {counts} | {max(worst):.0e} | {max(off):.0e} |", flush=True)


if __name__ == "__main__":
    main()
