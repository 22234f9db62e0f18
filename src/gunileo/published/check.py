"""An imported model's ONNX files held against a second pass over the same weights, before they are kept.

What differs is told as a share of the largest number. ``benchmarks/published_check.py`` prints what the limit is chosen
by: rounding to float32 is 6e-06 at most in made-up networks, whatever the variances of their batch normalisation, and
the mistakes that it makes are 2e-03 at least.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunileo.published import forward
from gunileo.published.conformer import Settings
from gunileo.published.decoder import LanguageSettings
from gunileo.published.errors import ImportFault
from gunileo.published.lipnet import HEIGHT, WIDTH
from gunileo.published.residual import SIDE
from gunileo.published.search import DECODER, LANGUAGE, MODEL, SOURCE, State, Steps, session_of
from gunileo.published.weights import Tensors

LIMIT = 1e-3  # of the largest number
_FRAMES = 16  # of a made-up clip: as far as a convolution over 31 frames reaches
# Tokens of two hypotheses, from the start token on, and which hypothesis before each goes on from. -1 is the end.
_STEPS = (((-1,), (0,)), ((1, 2), (0, 0)), ((0, 3), (1, 0)), ((2, 1), (1, 0)), ((-1, 2), (1, 0)))


def check_conformer(folder: Path, w: Tensors, settings: Settings) -> None:
    """Run a conformer's files on a made-up clip and a few tokens; ``ImportFault`` if they differ from its weights."""
    clip = np.random.default_rng(0).standard_normal((_FRAMES, SIDE, SIDE)).astype(np.float32)
    names = ["frontend", "features", "log_probabilities"]
    found = session_of(folder / MODEL).run(names, {"regions": clip[None, None]})
    with np.errstate(all="ignore"):
        expected = forward.encoded(w.weights, settings, clip)
        for name, one, other in zip(("front end", "encoder", "CTC layer"), found, expected, strict=True):
            _compare(name, one[0], other, w.source)
        keys = ["source_keys", "source_values"]
        features = expected.features.astype(np.float32)
        source = dict(zip(keys, session_of(folder / SOURCE).run(keys, {"features": features}), strict=True))

        def following(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
            return forward.decoded(w.weights, settings, expected.features, tokens)

        _check_steps("decoder", folder / DECODER, following, w.source, source, len(settings.tokens))


def check_language_model(folder: Path, w: Tensors, settings: LanguageSettings) -> None:
    """Run a language model's file on a few tokens; raises as ``check_conformer``."""

    def following(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        return forward.continued(w.weights, settings, tokens)

    with np.errstate(all="ignore"):
        _check_steps("language model", folder / LANGUAGE, following, w.source, {}, settings.tokens)


def check_lipnet(folder: Path, w: Tensors) -> None:
    """Run a LipNet's file on a made-up clip; raises as ``check_conformer``."""
    clip = np.random.default_rng(0).random((3, _FRAMES, HEIGHT, WIDTH)).astype(np.float32)
    found = session_of(folder / MODEL).run(["features", "log_probabilities"], {"regions": clip[None]})
    with np.errstate(all="ignore"):
        for name, one, other in zip(("GRU", "CTC layer"), found, forward.lipnet(w.weights, clip), strict=True):
            _compare(name, one[0], other, w.source)


def _check_steps(
    name: str,
    path: Path,
    following: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    source: str,
    beside: State,
    tokens: int,
) -> None:
    """Compare the scores of two hypotheses that go on from each other, token by token, with those of whole texts."""
    steps = Steps(session_of(path))
    state, texts, scores = steps.begin(), [list[int]()], [list[Any]()]
    for chosen, parents in _STEPS:
        new = np.array(chosen) % tokens
        logp, state = steps(new, np.array(parents), state, beside)
        texts = [[*texts[parent], int(token)] for parent, token in zip(parents, new, strict=True)]
        scores = [[*scores[parent], row] for parent, row in zip(parents, logp, strict=True)]
    for text, found in zip(texts, scores, strict=True):
        _compare(name, np.stack(found), following(np.array(text)), source)


def _compare(name: str, found: NDArray[Any], expected: NDArray[np.float64], source: str) -> None:
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        raise ImportFault(f"{source}: its {name} answers no numbers; its weights are broken, download it again")
    off = float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))
    if off > LIMIT:
        raise ImportFault(
            f"{source}: its {name} as ONNX is off by {off:.0e} of the largest number, more than {LIMIT}; "
            "this is a bug in gunileo, report it with the model's name"
        )
