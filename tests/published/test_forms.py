"""Auto-AVSR's and ViSpeR's forms: lists of tokens in full, tensors' names, made-up weights of less width."""

from pathlib import Path

import numpy as np
import pytest
from published_models import ENDS, VIDEO, write_pieces

from gunileo import Grammar, load_model
from gunileo.inference import registry
from gunileo.inference.registry import ImportedModel
from gunileo.inference.session import Session
from gunileo.published.errors import ImportFault
from gunileo.published.importing import import_model
from gunileo.published.search import AttentionSearch, Steps, Weighting
from gunileo.vision.mouth_clip import MouthClip

AUTO_AVSR, VISPER = 5049, 21460


pytestmark = pytest.mark.usefixtures("home")


def imported(folder: Path, name: str) -> ImportedModel:
    return import_model(str(folder / "model.pth"), lambda _: True, name, say=lambda _: None)


def answers(card: ImportedModel) -> tuple[np.ndarray, np.ndarray]:
    """CTC's log-probabilities and the encoder's features of a made-up video."""
    path = card.folder / "model.onnx"
    found = Session(path.read_bytes(), path).run(["log_probabilities", "features"], {"regions": VIDEO[None]})
    return found[0][0], found[1][0]


def decoder_score(search: AttentionSearch, features: np.ndarray, tokens: list[int], given: int) -> float:
    """The decoder's log-probability of the tokens after the first ``given``, each step by itself."""
    keys = ("source_keys", "source_values")
    source = dict(zip(keys, search.source.run(list(keys), {"features": features}), strict=True))
    steps: Steps = search.steps["decoder"]
    state, score = steps.begin(), 0.0
    for at, token in enumerate(tokens[:-1], 1):
        logp, state = steps(np.array([token]), np.array([0]), state, source)
        score += logp[0, tokens[at]] if at >= given else 0.0
    return float(score)


@pytest.mark.parametrize(("size", "name", "start"), [(AUTO_AVSR, "autoavsr-lrs3-24.6", ()), (VISPER, "visper", (2,))])
def test_the_whole_vocabulary(tmp_path: Path, size: int, name: str, start: tuple[int, ...]) -> None:
    card = imported(write_pieces(tmp_path / "files", size), name)
    assert card.published
    reader = load_model(name)
    assert len(reader.vocabulary) == size
    assert reader.vocabulary.tokens[0] == "<blank>"
    assert reader.vocabulary.tokens[-1] == "<eos>"
    assert Weighting.read(card.folder / "search.json") == Weighting(40, 0.1, 0.0, 0.0, start)
    search = reader.weighted(beam=5).search
    assert isinstance(search, AttentionSearch)
    logp, features = answers(card)
    best = search(features, logp)[0]
    end = size - 1
    given = 1 + len(start)
    assert best.tokens[:given] == (end, *start)
    assert tuple(one for one in best.tokens[given:] if one != end) == best.classes
    assert 0 not in best.classes
    scored = best.tokens[: given + len(logp)]  # as published, the end after as many tokens as frames has no score
    again = decoder_score(search, features, list(scored), given)
    assert best.parts["decoder"] == pytest.approx(again, rel=1e-4)
    assert best.score == pytest.approx(0.9 * best.parts["decoder"] + 0.1 * best.parts["ctc"], rel=1e-4)

    pictures = np.random.default_rng(1).integers(0, 256, (30, 88, 88), np.uint8)
    clip = MouthClip(np.zeros((30, 100, 150), np.uint8), np.zeros((30, 23), np.float32), pictures)
    rules = Grammar.from_text("turn the light (on|off)\nso don't", vocabulary=reader.vocabulary)
    assert reader.read(clip, grammar=rules).text in ("turn the light on", "turn the light off", "so don't")
    for how in ("greedy", "beam"):
        assert "<" not in reader.weighted(beam=2).read(clip, how).text


def test_another_language_is_another_start(tmp_path: Path) -> None:
    card = imported(write_pieces(tmp_path / "files", VISPER), "visper")
    logp, features = answers(card)
    found = {}
    for language in (2, 4):
        Weighting(4, 0.1, start=(language,)).write(card.folder / "search.json")
        search = load_model("visper").search
        assert search is not None
        found[language] = search(features, logp)[0]
    assert found[2].score != pytest.approx(found[4].score, rel=1e-4)


@pytest.mark.parametrize("size", ENDS)
def test_a_list_of_another_length_is_refused(tmp_path: Path, size: int) -> None:
    folder = write_pieces(tmp_path / "files", size)
    units = folder / ENDS[size]
    units.write_text("\n".join(units.read_text(encoding="utf-8").splitlines()[:-1]), encoding="utf-8")
    with pytest.raises(ImportFault, match=f"{size} classes, but {size - 1} tokens; give the list that came with it"):
        imported(folder, "mine")
    assert not registry.imported_models()
