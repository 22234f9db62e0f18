"""Calibrated confidences: the fit is the one that hand calculation gives, and guesses come out as not sure."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from mouths import clip_of, noise

from gunileo.corpus.cache import CachedUtterance
from gunileo.corpus.grid import CLASSES, code_to_text
from gunileo.corpus.synthetic import draw_codes
from gunileo.decoding.ctc import DECODERS, Decoded, greedy, viterbi
from gunileo.decoding.grammar import Grammar
from gunileo.decoding.vocabulary import GRID
from gunileo.evaluation.calibrate import calibrate, samples
from gunileo.inference.confidence import (
    APPEARANCES,
    FEWEST,
    NEGATIVES,
    OTHER_NEGATIVES,
    TRUSTED,
    Calibration,
    Sample,
    confidence_features,
    fit,
    from_json,
    logistic,
    read_well,
    to_json,
)
from gunileo.inference.decoders import Answers
from gunileo.inference.load import load_model
from gunileo.output.transcript import Word
from gunileo.vision.mouth import read_mouth
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import MEASURES

SHARED = Path(__file__).parents[3] / "shared" / "data"
ROUND = Calibration((1.5, -2.0, 0.25), (0.1, 2.0, 0.4), (-1.0, 0.5, 0.0), -0.75, 70)


def spelled(text: str, frames: int, doubt: float) -> np.ndarray:
    """Log-probabilities of ``text``, a symbol a frame from frame 5 on; ``doubt`` is shared by all other classes."""
    chances = np.full((frames, len(CLASSES)), doubt / (len(CLASSES) - 1))
    path = [0] * 5 + [CLASSES.index(character) for character in text]
    chances[np.arange(frames), path + [0] * (frames - len(path))] = 1 - doubt
    return np.asarray(np.log(chances))


def test_logistic_of_one_yes_or_no_is_solved_by_hand() -> None:
    feature = np.array([[0.0]] * 4 + [[1.0]] * 4)
    right = np.array([1, 0, 0, 0, 1, 1, 1, 0], float)  # 1 of 4, and 3 of 4
    model = logistic(feature, right, np.ones(8), l2=0)
    assert model == pytest.approx([math.log(1 / 3), 2 * math.log(3)], abs=1e-4)


def test_logistic_counts_a_row_of_weight_three_as_three_rows() -> None:
    rng = np.random.default_rng(0)
    features, right = rng.normal(size=(30, 2)), rng.integers(0, 2, 30).astype(float)
    weights = rng.integers(1, 4, 30)
    many = logistic(np.repeat(features, weights, axis=0), np.repeat(right, weights), np.ones(weights.sum()), l2=0)
    assert logistic(features, right, weights.astype(float), l2=0) == pytest.approx(many, abs=1e-6)


def test_logistic_without_a_border_stays_finite_and_penalised() -> None:
    features, right = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1], float)
    model = logistic(features, right, np.ones(4))
    # where the slope of the penalised likelihood is nought, with features of unit variance: spread is sqrt(2.5)
    spread = math.sqrt(2.5)
    chance = 1 / (1 + np.exp(-(model[0] + features[:, 0] * model[1])))
    assert (features[:, 0] / spread) @ (right - chance) == pytest.approx(model[1] * spread, abs=1e-6)
    assert model[1] > 0.5


def test_confidence_features_is_of_what_is_read_and_not_of_silence() -> None:
    grammar = Grammar([["bin", "set"], ["blue", "red"]])
    clear, vague = spelled("bin blue", 30, 0.01), spelled("bin blue", 30, 0.3)
    marks = [confidence_features(logp, viterbi(logp, grammar), grammar) for logp in (clear, vague)]
    assert (marks[0] < marks[1]).all()
    quiet = np.concatenate([clear, spelled("", 200, 1e-7)[5:]])
    assert confidence_features(quiet, viterbi(quiet, grammar), grammar) == pytest.approx(marks[0], abs=1e-3)


def test_confidence_features_by_hand() -> None:
    logp = spelled("red", 8, 0.2)
    symbols = -math.log(0.8) * 8 / 3  # one path of note: every frame's best class
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2 / 36))
    assert np.exp(confidence_features(logp, greedy(logp))) - 0.01 == pytest.approx([symbols, entropy], rel=0.01)


def test_confidence_features_of_a_text_counts_all_its_paths() -> None:
    logp = np.log(np.random.default_rng(0).dirichlet(np.ones(len(CLASSES)), 40))
    read = greedy(logp)
    alone = Grammar([[word.word] for word in read.words])
    assert confidence_features(logp, read) == pytest.approx(confidence_features(logp, read, alone), abs=1e-9)


def test_confidence_features_of_nothing_and_of_certainty_is_finite() -> None:
    nothing = spelled("", 20, 0.1)
    assert confidence_features(nothing, greedy(nothing)).tolist() == [0, 0]
    with np.errstate(divide="ignore"):
        certain = np.log((np.exp(spelled("red", 20, 0.1)) > 0.5).astype(float))  # zeros and ones
    assert np.isfinite(confidence_features(certain, greedy(certain))).all()


def test_apply_by_hand() -> None:
    read = Decoded("bin red", (Word("bin", 0, 0.2, 0.5), Word("red", 0.3, 0.5, 0.9)), 0.5)
    applied = ROUND.apply(read, np.array([1.0, 2.0]))  # score 1.5 - 2 + 0.5 = 0
    assert applied.sure
    odds = 2**0.4 * math.exp(0.1)  # of even chances; those of nine to one count half, and twice
    assert applied.words[0] == Word("bin", 0, 0.2, pytest.approx(odds / (odds + 1)))
    assert applied.words[1].confidence == pytest.approx(9 * odds / (9 * odds + 1), abs=1e-3)
    assert applied.confidence == pytest.approx(1 / (1 + math.e))
    assert not ROUND.apply(read, np.array([1.5, 2.0])).sure  # score -1, under the threshold
    assert ROUND.apply(Decoded("", (), 0.7), np.zeros(2)) == Decoded("", (), 0.0, sure=False)
    assert ROUND.judge(read, np.array([1.5, 2.0])) == replace(read, sure=False)
    assert ROUND.judge(read, np.array([1.0, 2.0])) == read


def test_a_decoder_without_a_choice_is_not_believed_on_a_clip_that_cannot_be_read() -> None:
    only = Decoded("stop", (Word("stop", 0, 0.2, 1.0),), 1.0)  # all that a grammar has
    applied = ROUND.apply(only, np.array([5.0, 0.0]))  # score -8.5
    assert applied.confidence == pytest.approx(1 / (1 + math.e), abs=0.01)  # the constant alone
    assert not applied.sure


def test_json_there_and_back() -> None:
    kept = {"grammar": ROUND, "greedy": replace(ROUND, threshold=2.0)}
    assert from_json(to_json(kept)) == kept
    assert from_json("{}") == {}


@pytest.mark.parametrize("change", [{"word": [1, 2]}, {"threshold": "nan"}, {"good": None}, {"more": 1}])
def test_broken_json(change: dict[str, object]) -> None:
    entry = {**json.loads(to_json({"grammar": ROUND}))["grammar"], **change}
    with pytest.raises(ValueError, match=r"calibration|float|int"):
        from_json(json.dumps({"grammar": entry}))
    with pytest.raises(ValueError, match="no calibration"):
        from_json("[1]")


def made_up(count: int, seed: int = 0) -> list[Sample]:
    """Clips that are read with 97 % right words, posteriors that are far too sure, and negatives beside them."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        right = rng.random(6) < 0.97
        words = tuple((0.999 if ok else float(rng.choice([0.999, 0.6])), bool(ok)) for ok in right)
        found.append(Sample(rng.normal([-3, -2], 0.3), 0.99, bool(right.all()), words, 6, "clip"))
        found.append(Sample(rng.normal([0, -1], 0.5), 0.9, False, ((0.999, False),) * 6, 0, "negative"))
    return found


def test_fit_tells_readings_from_negatives_and_comes_true() -> None:
    calibration = fit(made_up(300))
    assert calibration is not None
    tested = made_up(300, seed=1)
    confidences, right, unsure = [], [], {"clip": [], "negative": []}
    for one in tested:
        words = tuple(Word("red", 0, 1, confidence) for confidence, _ in one.words)
        applied = calibration.apply(Decoded("red " * 6, words, one.confidence), one.features)
        unsure[one.kind].append(not applied.sure)
        if one.kind == "clip":
            confidences += [word.confidence for word in applied.words]
            right += [ok for _, ok in one.words]
        else:
            assert max(word.confidence for word in applied.words) < 0.3
    assert all(unsure["negative"])
    assert np.mean(unsure["clip"]) < 0.04
    assert np.mean(confidences) == pytest.approx(np.mean(right), abs=0.03)
    surest = np.array(confidences) > 0.9  # of what the decoder gave 0.999
    assert np.mean(np.array(right)[surest]) == pytest.approx(np.mean(np.array(confidences)[surest]), abs=0.03)


def test_the_threshold_rejects_one_good_clip_in_a_hundred_and_no_more() -> None:
    found = made_up(75)
    calibration = fit(found)
    assert calibration is not None
    scores = [calibration.score(one.features) for one in found if one.good]
    assert calibration.good == len(scores)
    assert sum(score < calibration.threshold for score in scores) == 1


def test_the_threshold_keeps_readings_right_where_many_clips_are_read_badly() -> None:
    rng = np.random.default_rng(2)
    found = made_up(60)
    for _ in range(60):  # of a face that was never seen: features between both, half of the words right
        right = rng.random(6) < 0.5
        words = tuple((0.9, bool(ok)) for ok in right)
        found.append(Sample(rng.normal([-1.5, -1.5], 0.6), 0.9, False, words, 6, "clip"))
    calibration = fit(found)
    assert calibration is not None
    sure = [one for one in found if one.kind == "clip" and calibration.score(one.features) >= calibration.threshold]
    assert np.mean([ok for one in sure for _, ok in one.words]) >= TRUSTED
    assert sum(one.good for one in sure) > sum(one.good for one in found) / 2


def test_read_well_is_five_of_six_words_said_and_read() -> None:
    assert read_well([True] * 5 + [False], 6)
    assert not read_well([True] * 4 + [False] * 2, 6)
    assert not read_well([True] * 4, 6)  # two were left out
    assert not read_well([True] * 6 + [False] * 2, 6)  # two were made up
    assert not read_well([], 0)


def test_too_few_good_clips_give_no_calibration() -> None:
    found = made_up(3 * FEWEST)
    good = [one for one in found if one.good]
    rest = [one for one in found if not one.good]
    assert fit(good[:FEWEST] + rest) is not None
    assert fit(good[: FEWEST - 1] + rest) is None
    assert fit(good) is None  # no negatives to tell them from


def test_negatives_and_appearances_keep_the_size_and_change_the_clip() -> None:
    clip = noise(31)
    clip.crops[:, :, 75:] //= 2  # left and right differ
    for name, change in {**NEGATIVES, **OTHER_NEGATIVES, **APPEARANCES}.items():
        changed = change(clip)
        for one, other, again in zip(parts(changed), parts(clip), parts(change(clip)), strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype), name
            assert not np.array_equal(one, other), name
            assert np.array_equal(one, again), name
        assert np.isfinite(changed.shape()).all(), name
    for name in ("backwards", "frames shuffled", "pieces reordered"):
        both = zip(parts(NEGATIVES[name](clip)), parts(clip), strict=True)
        assert all(sorted(map(bytes, one)) == sorted(map(bytes, other)) for one, other in both), name


def parts(clip: MouthClip) -> tuple[np.ndarray, np.ndarray]:
    return clip.crops, clip.measures


def test_crops_and_shape_change_together() -> None:
    """Frame by frame they are of the same moment, and a wider mouth is wider in both."""
    numbered = MouthClip(np.zeros((30, 100, 150), np.uint8), np.zeros((30, MEASURES), np.float32))
    numbered.crops[:] = np.arange(30)[:, None, None]
    numbered.measures[:] = np.arange(30)[:, None]
    for name in ("backwards", "frames shuffled", "pieces reordered"):
        changed = NEGATIVES[name](numbered)
        np.testing.assert_array_equal(changed.crops[:, 0, 0], changed.measures[:, 0], name)
    clip = noise(31)
    wide = clip.measures[:, 2] - clip.measures[:, 0]  # from corner to corner
    for name, widens in (("wider mouth", True), ("taller mouth", False)):
        changed = APPEARANCES[name](clip).measures
        assert ((changed[:, 2] - changed[:, 0] > wide) == widens).all(), name


def test_a_still_face_only_has_a_cameras_noise() -> None:
    clip = clip_of(np.random.default_rng(0).integers(100, 150, (31, 100, 150), dtype=np.uint8))
    held = NEGATIVES["still face"](clip)
    pixels = held.crops.astype(float)
    assert np.abs(pixels.mean(axis=0) - clip.crops[15]).max() < 2
    assert pixels.std(axis=0).mean() == pytest.approx(2, abs=0.2)
    assert np.abs(held.measures.mean(axis=0) - clip.measures[15]).max() < 0.2
    assert held.measures.std(axis=0).mean() == pytest.approx(0.2, abs=0.05)


@dataclass
class Fallback:
    known: int
    own: bool  # whether all clips show its face

    def knows(self, clip: MouthClip) -> bool:
        return self.own

    def read(self, clip: MouthClip, how: str) -> Decoded:
        return Decoded("", (), 0.0, sure=len(clip) > self.known)


class Pixel:
    """A reader whose network spells what the brightness of each frame's corner says, a little in doubt.

    Of an adapted model, the one before is sure of sentences that are longer than so many frames.
    """

    vocabulary, search = GRID, None

    def __init__(self, known: int | None = None, own: bool = True) -> None:
        self.fallback = None if known is None else Fallback(known, own)

    def answers(self, clip: MouthClip) -> Answers:
        return Answers(self.log_probabilities(clip))

    def log_probabilities(self, clip: MouthClip) -> np.ndarray:
        classes = np.rint(clip.crops[:, 0, 0] / 6).astype(int) % len(CLASSES)
        chances = np.full((len(clip), len(CLASSES)), 0.1 / (len(CLASSES) - 1))
        chances[np.arange(len(clip)), classes] = 0.9
        return np.log(chances)


class Sentences:
    """A cache whose clips say their texts in that way."""

    def load(self, utterance: CachedUtterance) -> MouthClip:
        corners = [0] * 10
        corners[5:5] = [corner for character in utterance.text for corner in (6 * CLASSES.index(character), 0)]
        return clip_of(np.repeat(np.repeat(np.array(corners, np.uint8)[:, None, None], 100, axis=1), 150, axis=2))


def test_calibrate_learns_from_the_clips_what_can_be_read() -> None:
    texts = [code_to_text(code) for code in draw_codes(2 * FEWEST)]
    utterances = [CachedUtterance(f"s1/{n}", "s1", 2 * len(text) + 10, text, (), "") for n, text in enumerate(texts)]
    reader, cache = Pixel(), Sentences()
    told: list[tuple[int, int]] = []
    found = calibrate(reader, cache, utterances, lambda done, total: told.append((done, total)))
    assert told[-1] == (len(texts), len(texts))
    assert {how: calibration.good for how, calibration in found.items()} == dict.fromkeys(DECODERS, len(texts))
    clip, grammar = cache.load(utterances[0]), Grammar.grid()
    for change, sure in ((lambda same: same, True), *((one, False) for one in NEGATIVES.values())):
        logp = reader.log_probabilities(change(clip))
        decoded = viterbi(logp, grammar)
        judged = found["grammar"].apply(decoded, confidence_features(logp, decoded, grammar))
        assert (judged.sure, judged.confidence > 0.5) == (sure, sure)


def test_what_an_adapted_model_leaves_to_the_one_before_teaches_nothing() -> None:
    texts = sorted((code_to_text(code) for code in draw_codes(3 * FEWEST)), key=len)
    utterances = [CachedUtterance(text, "s1", 2 * len(text) + 10, text, (), "") for text in texts]
    lengths = [len(Sentences().load(utterance)) for utterance in utterances]
    assert calibrate(Pixel(known=lengths[0] - 1), Sentences(), utterances) == {}
    middle = lengths[2 * FEWEST]
    left = sum(length <= middle for length in lengths)
    assert 0 < left < len(texts)
    found = calibrate(Pixel(known=middle), Sentences(), utterances)
    assert {calibration.good for calibration in found.values()} == {left}
    found = calibrate(Pixel(known=middle, own=False), Sentences(), utterances)
    assert {calibration.good for calibration in found.values()} == {len(texts)}, "of a face that it isn't asked about"


def test_calibrate_leaves_the_grammar_out_for_other_sentences_and_does_without_few_clips() -> None:
    texts = [f"good morning number {one} {two}" for one in ("one", "two", "six", "ten", "five") for two in "abcdef"]
    utterances = [CachedUtterance(text, "", 2 * len(text) + 10, text, (), "") for text in texts]
    assert set(calibrate(Pixel(), Sentences(), utterances)) == {"greedy", "beam"}
    assert calibrate(Pixel(), Sentences(), utterances[: FEWEST - 1]) == {}


@pytest.fixture(scope="module")
def clip() -> MouthClip:
    video = SHARED / "grid" / "s1" / "bbaf2n.mpg"
    if not video.exists():
        pytest.skip(f"needs GRID clips in {SHARED}")
    return read_mouth(video)


def test_shipped_model_is_not_sure_of_a_face_that_says_nothing(clip: MouthClip) -> None:
    reader = load_model("labial")
    if not reader.calibrations:
        pytest.skip("the shipped model carries no calibration")
    for how in ("grammar", "greedy"):
        assert reader.transcribe_clip(clip, "clip", how).sure
        for change in {**NEGATIVES, **OTHER_NEGATIVES}.values():
            guess = reader.transcribe_clip(change(clip), "negative", how)
            assert not guess.sure
            assert guess.confidence < 0.5


def test_samples_of_a_clip_say_what_is_right(clip: MouthClip) -> None:
    found = samples(load_model("labial"), clip, "bin blue at f two now")["grammar"]
    assert [one.kind for one in found] == ["clip"] + ["appearance"] * len(APPEARANCES) + ["negative"] * len(NEGATIVES)
    assert found[0].good
    assert not any(right for one in found[1 + len(APPEARANCES) :] for _, right in one.words)
    assert found[0].features.sum() < min(one.features.sum() for one in found[1 + len(APPEARANCES) :])
