"""Whether a clip shows the one face that a model knows, and which network reads it then."""

import hashlib
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mouths import clip_of

from gunileo.corpus.finders import find_corpus
from gunileo.corpus.prepare import prepare
from gunileo.corpus.synthetic import make_corpus
from gunileo.inference import registry
from gunileo.inference.known_face import KnownFace, from_json, learn, mean_look, to_json
from gunileo.inference.load import load_model
from gunileo.vision.mouth import read_mouth
from gunileo.vision.mouth_clip import MouthClip

PEOPLE = np.random.default_rng(0).uniform(60, 180, (6, 10, 15))  # the brightness of blocks of their crops


def clip(person: int, seed: int, light: float = 1.0, frames: int = 20) -> MouthClip:
    """A clip of somebody, a little different each time."""
    random = np.random.default_rng(seed)
    blocks = np.kron(PEOPLE[person] + random.normal(0, 8, (10, 15)), np.ones((10, 10)))
    return clip_of((light * (blocks + random.normal(0, 5, (frames, 100, 150)))).clip(0, 255).astype(np.uint8))


def looks(person: int, seeds: range) -> np.ndarray:
    return np.stack([mean_look(clip(person, seed)) for seed in seeds])


@pytest.fixture(scope="module")
def face() -> KnownFace:
    """That of the first person, beside four others."""
    return learn(looks(0, range(12)), [looks(person, range(2)) for person in (1, 2, 3, 4)])


def test_a_face_is_told_from_others(face: KnownFace) -> None:
    assert face.score(looks(0, range(12)).mean(0)) == pytest.approx(1, abs=0.01)
    others = [face.score(looks(person, range(2)).mean(0)) for person in (1, 2, 3, 4)]
    assert np.mean(others) == pytest.approx(-1, abs=0.01)
    assert all(face.is_in(clip(0, seed)) for seed in range(100, 110)), "clips that were not learnt from"
    assert all(face.is_in(clip(0, seed, light=0.5)) for seed in range(100, 110)), "in other light"
    assert not any(face.is_in(clip(5, seed)) for seed in range(10)), "nor a person who was not learnt from"


def test_a_look_is_blind_to_light_and_length() -> None:
    look = mean_look(clip(0, 1))
    assert (look.shape, look.mean(), np.linalg.norm(look)) == ((150,), pytest.approx(0), pytest.approx(1))
    assert look @ mean_look(clip(0, 1, light=0.5)) > 0.99
    assert look @ mean_look(clip(0, 1, frames=3)) > 0.99
    assert np.abs(mean_look(clip_of(np.full((5, 100, 150), 128, np.uint8)))).max() == 0, "a grey picture has none"


def test_it_is_written_and_read_back(face: KnownFace) -> None:
    assert from_json(to_json(face)) == face
    assert len(to_json(face).splitlines()) == 15, "a row of blocks a line, so that it can be looked at"


def test_a_fallback_is_asked_about_the_face_that_it_knows_alone(model: str, face: KnownFace) -> None:
    first = replace(load_model(model), name="first", known_face=face)
    assert first.calibrations == {}, "so it is always sure"
    both = replace(load_model(model), name="second", fallback=first)
    assert both.best_prediction(clip(0, 50), "greedy").reader.name == "first"
    assert both.best_prediction(clip(3, 50), "greedy").reader.name == "second"
    any_face = replace(both, fallback=replace(first, known_face=None))
    assert any_face.best_prediction(clip(3, 50), "greedy").reader.name == "first"


def test_a_shipped_fallback_has_a_face() -> None:
    """That of labial-wide has to be learnt again when it is shipped again."""
    fallback = load_model().fallback
    assert fallback
    assert fallback.known_face


def test_the_shipped_fallback_knows_s1_alone(shared: Path) -> None:
    fallback = load_model().fallback
    assert fallback
    assert fallback.knows(read_mouth(shared / "grid" / "s1" / "bbaf2n.mpg"))
    assert not fallback.knows(read_mouth(shared / "grid" / "s32" / "sbwe5n.mpg"))


def test_the_script_learns_a_face_and_enters_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(__file__).parents[2] / "scripts" / "known_face.py"
    spec = importlib.util.spec_from_file_location("known_face_script", path)
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    make_corpus(tmp_path / "corpus", ["bbaf2n", "lwws9a", "pgiozs"], speakers=6)
    prepare(find_corpus(tmp_path / "corpus").utterances, tmp_path / "cache", workers=1)
    (tmp_path / "list.txt").write_text("s1/bbaf2n\ns1/lwws9a\n")
    (tmp_path / "models.json").write_bytes((registry.WEIGHTS / "models.json").read_bytes())
    monkeypatch.setattr(script, "WEIGHTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["known_face.py", str(tmp_path / "cache"), "--only", str(tmp_path / "list.txt")])
    script.main()
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in told] == [
        "own clips, not learnt from",
        "s3, not learnt from",
        "s5, not learnt from",
        "s2, left out in turn",
        "s4, left out in turn",
        "s6, left out in turn",
    ]
    assert told[0].startswith("own clips, not learnt from: 1 of 1 clips taken for it; scores ")
    entry = next(one for one in json.loads((tmp_path / "models.json").read_text()) if one["name"] == "labial-wide")
    content = (tmp_path / entry["face"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"][entry["face"]]
    assert from_json(content)
