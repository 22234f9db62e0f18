"""Decoding with a word list and a language model, against every path of a few frames."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import USED, brute_force, random_logp, spell

from gunileo.corpus.grid import CLASSES
from gunileo.decoding.ctc import DecodeError
from gunileo.decoding.lexicon import Lexicon, LexiconError

pytest.importorskip("flashlight.lib.text", reason="needs flashlight-text, the extra 'lexicon'")

UNIGRAMS = {"a": (-0.5, -0.2), "b": (-0.7, -0.1), "<s>": (-99.0, -0.3), "</s>": (-1.2, 0.0), "<unk>": (-1.0, 0.0)}
BIGRAMS = {("<s>", "a"): -0.2, ("a", "b"): -0.4, ("b", "</s>"): -0.3}


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    lines = ["\\data\\", f"ngram 1={len(UNIGRAMS)}", f"ngram 2={len(BIGRAMS)}", "", "\\1-grams:"]
    lines += [f"{score}\t{word}\t{backoff}" for word, (score, backoff) in UNIGRAMS.items()]
    lines += ["", "\\2-grams:", *(f"{score}\t{' '.join(pair)}" for pair, score in BIGRAMS.items()), "", "\\end\\", ""]
    path = tmp_path / "tiny.arpa"
    path.write_text("\n".join(lines))
    return path


def language_score(text: str) -> float:
    """Natural logarithm of the sentence's probability by the tiny model, by hand: bigrams, else back off."""
    words = ["<s>", *text.split(), "</s>"]
    return float(np.log(10)) * sum(
        BIGRAMS.get((before, word), UNIGRAMS[before][1] + UNIGRAMS[word][0])
        for before, word in itertools.pairwise(words)
    )


def shares(logp: np.ndarray, words: set[str], lm: bool = False) -> dict[str, float]:
    """Each sentence's share, from all paths of all texts of these words."""
    scores: dict[str, list[float]] = {}
    for text, score in brute_force(logp)[1].items():
        if set(text.split()) <= words:
            sentence = " ".join(text.split())
            scores.setdefault(sentence, []).append(score + (language_score(sentence) if lm else 0.0))
    summed = {text: float(np.logaddexp.reduce(found)) for text, found in scores.items()}
    whole = np.logaddexp.reduce(list(summed.values()))
    return {text: float(np.exp(score - whole)) for text, score in summed.items()}


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([["a", "b"], ["a", "aa", "ab"], ["ba", "bab"]]))
def test_exact_against_every_path(seed: int, frames: int, words: list[str]) -> None:
    logp = random_logp(np.random.default_rng(seed), frames, USED)
    lexicon = Lexicon(words, width=5000)
    found = lexicon.sentences(logp)
    assert found == pytest.approx(shares(logp, set(words)), abs=1e-5)
    decoded = lexicon.decode(logp)
    assert decoded.text == next(iter(found))
    assert decoded.confidence == pytest.approx(found[decoded.text] if decoded.text else 0.0)
    assert " ".join(word.word for word in decoded.words) == decoded.text


def test_language_model_counts_as_it_says(arpa: Path) -> None:
    lexicon = Lexicon(["a", "b"], arpa, width=5000)
    for seed in range(5):
        logp = random_logp(np.random.default_rng(seed), 6, USED, spread=0.5)
        assert lexicon.sentences(logp) == pytest.approx(shares(logp, {"a", "b"}, lm=True), abs=1e-5)


def test_words_of_the_list_are_read_with_their_times() -> None:
    logp = spell("turn tle light of", hold=2, sure=0.6)
    decoded = Lexicon(["turn", "the", "light", "off", "on"]).decode(logp)
    assert decoded.text == "turn the light off"
    assert decoded.words[0].start == 0
    assert [word.start for word in decoded.words] == sorted(word.start for word in decoded.words)
    assert 0 < decoded.confidence <= 1
    again = Lexicon(["turn", "the", "light", "off", "on"], width=1).decode(spell("turn on", sure=0.9))
    assert again.text == "turn on"


def test_a_silent_clip_says_nothing() -> None:
    silent = np.full((20, len(CLASSES)), -30.0)
    silent[:, 0] = 0.0
    decoded = Lexicon(["a"]).decode(silent)
    assert (decoded.text, decoded.words, decoded.confidence) == ("", (), 0.0)
    with pytest.raises(DecodeError, match="NaN"):
        Lexicon(["a"]).decode(np.full((20, len(CLASSES)), np.nan))


def test_words_come_from_any_text_file(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# rooms\nThe kitchen, the hall\n\nthe Kitchen!\n", "utf-8")
    assert Lexicon.from_file(path).words == ["hall", "kitchen", "the"]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"a\nna\xc3\xafve\n", "line 2: .*character 'ï'"), (b"# none\n", "has no words"), (b"\xff", "UTF-8")],
)
def test_bad_word_lists_are_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(LexiconError, match=says) as told:
        Lexicon.from_file(path)
    assert str(told.value).startswith(str(path))


def test_bad_requests_are_refused(arpa: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LexiconError, match=r"none\.txt can't be read.*give a text file"):
        Lexicon.from_file(tmp_path / "none.txt")
    with pytest.raises(LexiconError, match=r"none\.arpa: no such file"):
        Lexicon(["a"], tmp_path / "none.arpa")
    (tmp_path / "text.arpa").write_text("hello")
    with pytest.raises(LexiconError, match=r"text\.arpa: no KenLM model"):
        Lexicon(["a"], tmp_path / "text.arpa")
    with pytest.raises(LexiconError, match=r"tiny\.arpa knows none of the lexicon's words"):
        Lexicon(["up", "down"], arpa)
    with pytest.raises(LexiconError, match="needs words"):
        Lexicon([])
    with pytest.raises(LexiconError, match="'ö'"):
        Lexicon(["böse"])
    with pytest.raises(ValueError, match="width 0"):
        Lexicon(["a"], width=0)
    assert capfd.readouterr().err == ""  # KenLM's own notes would come between the lines of ours


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flashlight.lib.text", None)
    with pytest.raises(LexiconError, match=r'pip install "gunileo\[lexicon\]"'):
        Lexicon(["a"])
