"""Evaluation scores the right clips against the right sentences."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from readings import SAID, clip, read

from gunileo.corpus.cache import Cache, shape_file
from gunileo.corpus.finders import find_corpus
from gunileo.corpus.labels import WordTime
from gunileo.corpus.prepare import prepare
from gunileo.evaluation.evaluate import Evaluation, evaluate, score, time_errors, word_times
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.session import Session
from gunileo.output.transcript import Word


@pytest.fixture(scope="module")
def reader(model: str) -> Reader:
    return load_model(model)


@pytest.fixture(scope="module")
def cache(synthetic_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    path = tmp_path_factory.mktemp("cache") / "c"
    prepare(find_corpus(synthetic_corpus).utterances[:3], path, workers=1)
    return Cache(path)


def test_scores() -> None:
    found = score(SAID, ["bin blue at s two now", "lay white with s nine again"])
    assert found.wer == pytest.approx(1 / 12)
    assert found.cer == pytest.approx(1 / len("".join(SAID)))
    assert found.sentence_accuracy == 0.5
    assert found.slots["letter"] == 0.5
    assert sum(found.slots.values()) == 5.5
    assert found.confusions == [("f", "s", 1)]


class Counted(Session):
    """A network that counts how often it runs."""

    runs = 0

    def run(self, names: list[str] | None, inputs: dict[str, Any]) -> list[Any]:
        self.runs += 1
        return super().run(names, inputs)


def test_the_network_runs_once_a_clip_for_all_ways(reader: Reader, cache: Cache) -> None:
    session = Counted(reader.session.path.read_bytes(), reader.session.path)
    found = evaluate(replace(reader, session=session), cache, cache.utterances)
    assert session.runs == len(cache.utterances) == 3
    assert found.ways == ("greedy", "grammar")
    for utterance, one in zip(cache.utterances, found.clips, strict=True):
        mouths = cache.load(utterance)
        assert one.read == {how: reader.read(mouths, how) for how in found.ways}  # type: ignore[arg-type]


def test_free_sentences_have_no_places() -> None:
    assert score(["good morning"], ["good evening"]).slots == {}
    mixed = score(["good morning", SAID[0]], ["good evening", SAID[0]])
    assert set(mixed.slots.values()) == {1.0}
    assert mixed.wer == pytest.approx(1 / 8)


def test_intervals_hold_the_rates_and_are_the_same_each_time() -> None:
    said = SAID * 10
    read = ["bin blue at s two now", *SAID[1:], *SAID * 9]
    found = score(said, read)
    assert set(found.intervals) == {"wer", "cer", "sentence_accuracy", *found.slots}
    for name, (low, high) in found.intervals.items():
        rate = found.slots[name] if name in found.slots else getattr(found, name)
        assert low <= rate <= high
    # 20 clips, one with 1 error in 6 words: a draw has it k times, k Poisson of mean 1 (nearly); 97.5 % of k are <= 3
    assert found.intervals["wer"] == pytest.approx((0, 3 / 120))
    assert found.intervals["sentence_accuracy"] == pytest.approx((1 - 3 / 20, 1))
    assert found.intervals["colour"] == (1, 1)
    assert score(said, read) == found


def test_each_speaker_has_a_score() -> None:
    clips = [
        clip("s10/a", SAID[0], SAID[0], SAID[0]),
        clip("s4/a", SAID[0], "bin blue at s two now", SAID[0]),
        clip("s4/b", SAID[1], "", SAID[1]),
    ]
    evaluation = Evaluation("labial", "cache", clips)
    assert list(evaluation.speakers) == ["s4", "s10"]
    assert evaluation.speakers["s4"]["greedy"].wer == pytest.approx(7 / 12)
    assert evaluation.speakers["s10"]["greedy"].wer == 0
    rows = {line[:22].strip(): line[22:].split() for line in evaluation.to_text().splitlines()}
    assert rows["s4, 2 clips"][:3] == ["58.3", "%", "(16.7-100.0)"]
    assert rows["s10, 1 clip"] == ["0.0", "%", "0.0", "%"]  # nothing to draw from
    assert Evaluation("labial", "cache", clips[1:]).speakers == {}
    nameless = replace(clips[0], speaker="")  # beside speakers' folders
    assert "\n-, 1 clip " in Evaluation("labial", "cache", [nameless, *clips[1:]]).to_text()


def test_a_corpus_of_other_sentences_is_told_that_the_grammar_is_not_its_own() -> None:
    other = clip("a/x", "good morning", "good morning", SAID[0])
    assert "no clip says a sentence of GRID" in Evaluation("labial", "cache", [other]).to_text()
    mixed = [other, clip("s1/a", SAID[0], SAID[0], SAID[0])]
    assert "no clip says a sentence of GRID" not in Evaluation("labial", "cache", mixed).to_text()


def test_clips_of_which_the_reader_is_not_sure_are_counted() -> None:
    clips = [
        clip("s1/a", SAID[0], read(SAID[0], sure=False), read(SAID[0], sure=False)),
        clip("s1/b", SAID[1], SAID[1], SAID[1]),
    ]
    evaluation = Evaluation("labial", "cache", clips)
    assert evaluation.unsure == {"greedy": 0.5, "grammar": 0.5}
    assert "not sure: 50.0 % greedy, 50.0 % grammar" in evaluation.to_text()


def test_every_clip_is_read_as_transcribe_reads_it(reader: Reader, cache: Cache) -> None:
    chosen = cache.utterances[:2]
    calls: list[tuple[int, int]] = []
    evaluation = evaluate(reader, cache, chosen, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    assert [(clip.id, clip.speaker, clip.said) for clip in evaluation.clips] == [(u.id, "s1", u.text) for u in chosen]
    for one, utterance in zip(evaluation.clips, chosen, strict=True):
        for how in ("greedy", "grammar"):
            expected = reader.transcribe_clip(cache.load(utterance), "", how)
            found = one.read[how]
            assert (found.text, found.words, found.confidence, found.sure) == (
                *(expected.text, expected.words, expected.confidence, expected.sure),
            )
    for how, found in evaluation.scores.items():
        assert found == score([u.text for u in chosen], [one.read[how].text for one in evaluation.clips])


def test_nothing_to_evaluate_is_refused(reader: Reader, cache: Cache) -> None:
    with pytest.raises(ValueError, match="no utterances"):
        evaluate(reader, cache, [])


def test_word_times_are_compared_with_the_alignment() -> None:
    read = [Word("bin", 1.0, 1.2, 1), Word("blue", 1.3, 1.5, 1)]
    said = [WordTime("bin", 0.9, 1.2), WordTime("green", 1.3, 1.7)]
    assert time_errors(read, said) == [pytest.approx((0.1, 0)), pytest.approx((0, 0.2))]
    assert time_errors(read, said[:1]) == []
    words = SAID[0].split()
    # words are read from 0 to 0.5, from 1 to 1.5, ...
    exact = tuple(WordTime(word, at, at + 0.5) for at, word in enumerate(words))
    late = tuple(WordTime(word, at - 0.1, at + 0.2 + at / 10) for at, word in enumerate(words))
    times = word_times([clip("s1/a", SAID[0], "", SAID[0], exact), clip("s1/b", SAID[0], "", SAID[0], late)])
    assert times is not None
    assert times.words == 12
    assert times.start == pytest.approx(0.05)
    assert times.end == pytest.approx((0.3 + 0.2 + 0.1 + 0 + 0.1 + 0.2) / 12)
    assert times.both == pytest.approx((times.start + times.end) / 2)
    assert times.interval == pytest.approx((0, 2 * times.both))  # of draws of two clips, a quarter is only one of them
    assert times.slots["command"] == pytest.approx((0.05, 0.15))
    assert times.slots["letter"] == pytest.approx((0.05, 0))
    assert word_times([clip("s1/a", SAID[0], "", "bin blue", exact), clip("s1/b", SAID[0], "", SAID[0])]) is None


def test_clip_too_short_for_the_grammar_counts_as_unread(reader: Reader, cache: Cache) -> None:
    short = cache.utterances[2]
    path = cache.path / short.file
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(path), picture[:200])
    np.save(shape_file(cache.path, short.id), cache.measures(short)[:15])
    manifest = cache.path / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"frames": 75', '"frames": 15'))
    utterance = next(u for u in Cache(cache.path).utterances if u.id == short.id)
    evaluation = evaluate(reader, cache, [utterance])
    assert evaluation.unread == [short.id]
    assert evaluation.scores["grammar"].wer == 1.0


def test_text_and_json() -> None:
    clips = [clip("s1/a", SAID[0], "bin blue at s two now", SAID[0]), clip("s1/b", SAID[1], "", SAID[1])]
    evaluation = Evaluation("labial", "cache", clips, ["s1/b"])
    text = evaluation.to_text()
    assert "2 clips of cache read by labial" in text
    rows = {line[:22].strip(): line[22:].split() for line in text.splitlines()}
    assert rows["word error rate"] == ["58.3", "%", "(16.7-100.0)", "0.0", "%", "(0.0-0.0)"]
    assert rows["letter right"][:2] == ["0.0", "%"]
    assert rows["letter right"][3:] == ["100.0", "%", "(100.0-100.0)"]
    assert "confused, greedy: f as s 1" in text
    assert "confused, grammar: nothing" in text
    assert text.endswith("counted as nothing read: s1/b\n")
    fields = json.loads(evaluation.to_json())
    assert fields["scores"]["greedy"]["wer"] == pytest.approx(7 / 12)
    assert fields["scores"]["greedy"]["confusions"] == [["f", "s", 1]]
    assert fields["scores"]["grammar"]["slots"]["adverb"] == 1.0
    assert fields["clips"][0]["read"]["greedy"]["words"][3]["word"] == "s"
