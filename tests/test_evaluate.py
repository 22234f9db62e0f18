"""Evaluation scores the right clips against the right sentences."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from gunileo.corpus import find_corpus
from gunileo.engine import Reader, load_model
from gunileo.evaluate import Evaluation, evaluate, score, time_errors, to_json, to_text
from gunileo.labels import WordTime
from gunileo.prepare import Cache, prepare
from gunileo.transcript import Word

SAID = ["bin blue at f two now", "lay white with s nine again"]


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
    assert found.places["letter"] == 0.5
    assert sum(found.places.values()) == 5.5
    assert found.confusions == [("f", "s", 1)]


def test_free_sentences_have_no_places() -> None:
    assert score(["good morning"], ["good evening"]).places == {}
    mixed = score(["good morning", SAID[0]], ["good evening", SAID[0]])
    assert set(mixed.places.values()) == {1.0}
    assert mixed.wer == pytest.approx(1 / 8)


def test_every_clip_is_read_as_transcribe_reads_it(reader: Reader, cache: Cache) -> None:
    chosen = cache.utterances[:2]
    calls: list[tuple[int, int]] = []
    evaluation = evaluate(reader, cache, chosen, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    assert [(clip["id"], clip["said"]) for clip in evaluation.clips] == [(u.id, u.text) for u in chosen]
    for clip, utterance in zip(evaluation.clips, chosen, strict=True):
        regions = cache.load(utterance)
        assert clip["greedy"] == reader.transcribe_regions(regions, "", "greedy").text
        assert clip["grammar"] == reader.transcribe_regions(regions, "", "grammar").text
    for how, found in evaluation.scores.items():
        assert found == score([u.text for u in chosen], [clip[how] for clip in evaluation.clips])


def test_word_times_are_compared_with_the_alignment(reader: Reader, cache: Cache) -> None:
    read = [Word("bin", 1.0, 1.2, 1), Word("blue", 1.3, 1.5, 1)]
    said = [WordTime("bin", 0.9, 1.2), WordTime("green", 1.3, 1.7)]
    assert time_errors(read, said) == pytest.approx([0.1, 0, 0, 0.2])
    assert time_errors(read, said[:1]) == []
    evaluation = evaluate(reader, cache, cache.utterances[:1])
    words = reader.transcribe_regions(cache.load(cache.utterances[0]), "").words
    assert evaluation.word_time_error == pytest.approx(np.mean(time_errors(words, cache.utterances[0].words)))
    assert f"off by {evaluation.word_time_error:.3f} s" in to_text(evaluation)


def test_clip_too_short_for_the_grammar_counts_as_unread(reader: Reader, cache: Cache) -> None:
    short = cache.utterances[2]
    path = cache.path / short.file
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(path), picture[:200])
    manifest = cache.path / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"frames": 75', '"frames": 15'))
    utterance = next(u for u in Cache(cache.path).utterances if u.id == short.id)
    evaluation = evaluate(reader, cache, [utterance])
    assert evaluation.unread == [short.id]
    assert evaluation.scores["grammar"].wer == 1.0


def test_report() -> None:
    greedy = score(SAID, ["bin blue at s two now", ""])
    grammar = score(SAID, SAID)
    evaluation = Evaluation(
        "labial", "cache", {"greedy": greedy, "grammar": grammar}, [{"id": "a"}, {"id": "b"}], ["b"]
    )
    text = to_text(evaluation)
    assert "2 clips of cache read by labial" in text
    rows = {line[:22].strip(): line[22:].split() for line in text.splitlines()}
    assert rows["word error rate"] == ["58.3", "%", "0.0", "%"]
    assert rows["letter right"] == ["0.0", "%", "100.0", "%"]
    assert "confused, greedy: f as s 1" in text
    assert "confused, grammar: nothing" in text
    assert text.endswith("counted as nothing read: b\n")
    fields = json.loads(to_json(evaluation))
    assert fields["scores"]["greedy"]["wer"] == pytest.approx(7 / 12)
    assert fields["scores"]["greedy"]["confusions"] == [["f", "s", 1]]
    assert np.isclose(fields["scores"]["grammar"]["places"]["adverb"], 1.0)
