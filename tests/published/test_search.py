"""The search against hypotheses that the published code printed, and CTC's prefix scores against all paths."""

import copy
import itertools
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from published_models import LANGUAGE, SETTINGS, VIDEO, made_up, reference

from gunileo.decoding.vocabulary import Vocabulary
from gunileo.inference.session import Session
from gunileo.published.convert import write_language_model, write_model
from gunileo.published.prefix_scores import empty, extended, extended_totals
from gunileo.published.search import Weighting, load
from gunileo.published.weights import Tensors

WAYS = {"plain": (0.1, 0.0, 0.0), "ctc_half": (0.5, 0.0, 0.0), "penalty": (0.1, 0.0, 0.5), "lm": (0.1, 0.3, 0.0)}


@pytest.mark.parametrize("name", SETTINGS)
def test_five_best_of_every_search(name: str, tmp_path: Path) -> None:
    expected = reference("conformer", "expected.json")
    write_model(tmp_path, Tensors(made_up(expected["names"][name]), name), SETTINGS[name], {})
    write_language_model(tmp_path, Tensors(made_up(expected["names"]["lm"]), "lm"), LANGUAGE["none"])
    path = tmp_path / "model.onnx"
    logp, memory = Session(path.read_bytes(), path).run(["log_probabilities", "features"], {"regions": VIDEO[None]})
    for way, (ctc, language, penalty) in WAYS.items():
        Weighting(5, ctc, language, penalty).write(tmp_path / "search.json")
        search = load(tmp_path, Vocabulary(SETTINGS[name].tokens))
        found = search(memory[0], logp[0])
        want = [tokens for tokens, _, _ in expected["search"][f"{name}/{way}"]]
        assert [list(one.tokens) for one in found] == want, (
            way,
            [list(one.tokens) for one in found][:2],
            want[:2],
            found[0],
        )
        for one, (tokens, score, parts) in zip(found, expected["search"][f"{name}/{way}"], strict=True):
            assert one.score == pytest.approx(score, rel=1e-4)
            assert one.parts == pytest.approx(parts, rel=1e-4)
            assert list(one.classes) == tokens[1:].copy()[: len(one.classes)]
        assert pickle.loads(pickle.dumps(search))(memory[0], logp[0])[0].tokens == found[0].tokens
        assert copy.deepcopy(search).weighting == search.weighting


def collapsed(path: Sequence[int]) -> tuple[int, ...]:
    return tuple(one for at, one in enumerate(path) if one and (at == 0 or one != path[at - 1]))


@pytest.mark.parametrize(("frames", "seed"), [(1, 0), (3, 1), (5, 2)])
def test_prefix_scores_are_sums_over_all_paths(frames: int, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(frames, 4)) * 2
    logp = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    chance = {
        path: np.exp(sum(logp[t, one] for t, one in enumerate(path)))
        for path in itertools.product(range(4), repeat=frames)
    }
    texts = {path: collapsed(path) for path in chance}
    for prefix in [(), (1,), (2,), (1, 1), (1, 2), (2, 1), (1, 2, 1), (2, 2, 1)]:
        if len(prefix) >= frames:
            continue
        state, last = empty(logp), 3
        for length, token in enumerate(prefix):
            before, one = np.array([last]), np.array([token])
            totals = extended_totals(logp, state, length, before, one[None], 3)[0]
            state, last = extended(logp, state, length, before, one, totals), token
        found = extended_totals(logp, state, len(prefix), np.array([last]), np.array([[0, 1, 2, 3]]), 3)[0]
        for token in (1, 2):
            longer = (*prefix, token)
            told = sum(p for path, p in chance.items() if texts[path][: len(longer)] == longer)
            assert np.exp(found[token]) == pytest.approx(told, abs=1e-9)
        assert np.exp(found[3]) == pytest.approx(sum(p for path, p in chance.items() if texts[path] == prefix))
        assert found[0] == -1e10
