"""Shapes changed at random stay shapes, and silence is put back so that it meets the words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mouths import face, measured

from gunileo.training.shape_augmentation import ShapeAugmentation, Silences, changed, filled, relative
from gunileo.vision.mouth_shape import FEATURES, features

NOTHING = ShapeAugmentation(gain=0, mix=0, noise=0, drift=0, blur=0, mask=0)
OPENING = 3  # the feature


@pytest.fixture
def words() -> np.ndarray:
    """Features [40, F] of what a mouth says, about 0 in the mean."""
    return features(measured(face(40)))


def known() -> Silences:
    """One clip: 15 frames rising to 0 in every feature, words that are 2, 12 frames of 3."""
    clip = np.full((40, FEATURES), 2, np.float32)
    clip[:15] = np.linspace(-1, 0, 15)[:, None]
    clip[28:] = 3
    return Silences([(clip, 15, 28)])


def test_known_silences_are_kept_beside_the_words_mean() -> None:
    silences = known()
    assert [len(one) for one in silences.before + silences.after] == [15, 12]
    np.testing.assert_allclose(silences.before[0][:, 0], np.linspace(-3, -2, 15), atol=1e-6)
    np.testing.assert_allclose(silences.after[0], 1)
    short = Silences([(np.zeros((20, FEATURES), np.float32), 4, 17)])
    assert not short.before + short.after, "four frames are no silence to learn from"


@pytest.mark.parametrize("silences", [known(), Silences([])], ids=["known", "made up"])
@pytest.mark.parametrize("seed", range(8))
def test_silence_is_as_long_as_it_says_and_meets_the_words(silences: Silences, seed: int, words: np.ndarray) -> None:
    before_it = words.copy()
    shape, before, after = silences.around(words, 24, np.random.default_rng(seed))
    assert (shape.dtype, shape.shape) == (np.float32, (before + len(words) + after, FEATURES))
    assert 2 <= before <= 24
    assert 2 <= after <= 24
    np.testing.assert_array_equal(shape[before : before + len(words)], words, "the words are as they were")
    np.testing.assert_array_equal(words, before_it)
    # Outwards from the word, five frames go over to the silence, a sixth of the way each.
    outwards = ((shape[:before][::-1], words[0], -2), (shape[before + len(words) :], words[-1], 1))
    for silence, edge, level in outwards:
        parts = min(5, len(silence)) + 1
        if silences.before:
            way = words.mean(0) + level - edge
            np.testing.assert_allclose(silence[0] - edge, way / parts, atol=1e-4)
        else:
            rest = words[np.argsort(words[:, OPENING])[:6]].mean(0)
            np.testing.assert_allclose(silence[0] - edge, (rest - edge) / parts, atol=0.5 / parts)


def test_made_up_silence_rests_where_the_mouth_is_most_closed(words: np.ndarray) -> None:
    shape, before, _ = Silences([]).around(words, 24, np.random.default_rng(4))
    assert before > 10
    rest = shape[: before - 5]
    assert rest[:, OPENING].mean() == pytest.approx(np.sort(words[:, OPENING])[:6].mean(), abs=0.1)
    assert rest.std(0).max() < 0.3, "but for noise it is still"


def test_silences_differ_by_chance_and_no_longer_than_asked(words: np.ndarray) -> None:
    lengths = {known().around(words, 6, np.random.default_rng(seed))[1:] for seed in range(40)}
    assert len(lengths) > 8
    assert max(map(max, lengths)) <= 6
    first, again = (known().around(words, 24, np.random.default_rng(3))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_silence_is_not_changed_by_its_use(words: np.ndarray) -> None:
    silences = known()
    kept = [one.copy() for one in silences.before + silences.after]
    for seed in range(5):
        silences.around(words, 24, np.random.default_rng(seed))
    for one, other in zip(kept, silences.before + silences.after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_gaps_are_filled_along_a_line_and_ends_are_held() -> None:
    shape = np.full((12, FEATURES), np.nan, np.float32)
    shape[2], shape[6:8] = 1.0, 3.0
    shape[6:8, 1] = 5.0
    found = filled(shape)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], [1, 1, 1, 1.5, 2, 2.5, 3, 3, 3, 3, 3, 3])
    np.testing.assert_allclose(found[:, 1], [1, 1, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5])


def test_relative_knows_what_is_known() -> None:
    measures = measured(face(30))
    np.testing.assert_array_equal(relative(measures), features(measures))
    measures[:5] = measures[12:14] = np.nan
    found, here = relative(measures), np.isfinite(measures[:, 0])
    assert (np.isfinite(found).all(1) == here).all()
    np.testing.assert_array_equal(found[here], features(measures[here]))


def test_the_same_seed_changes_alike_and_another_otherwise(words: np.ndarray) -> None:
    kept = words.copy()
    one, again, other = (changed(words, ShapeAugmentation(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one.dtype, one.shape) == (np.float32, words.shape)
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(words, kept)


def test_nothing_is_changed_by_nothing(words: np.ndarray) -> None:
    np.testing.assert_allclose(changed(words, NOTHING, np.random.default_rng(0)), words - words.mean(0), atol=1e-6)


def test_each_change_does_what_it_says(words: np.ndarray) -> None:
    clean = words - words.mean(0)
    masks, gains = [], []
    for seed in range(30):
        random = np.random.default_rng(seed)
        masks.append((changed(words, replace(NOTHING, mask=1), random) == 0).all(1))
        ratio = changed(words, replace(NOTHING, gain=0.12), random) / clean
        assert np.allclose(ratio, ratio[0], rtol=1e-3), "a feature grows or shrinks in all frames alike"
        gains.append(ratio[0])
        drift = changed(words, replace(NOTHING, drift=0.3), random) - clean
        assert np.abs(np.diff(drift, axis=0)).max() < 0.2, "slow"
        assert drift.std() > 0.02
    lengths = [int(mask.sum()) for mask in masks]
    assert min(lengths) >= 1
    assert max(lengths) <= 12
    assert np.std(np.log(gains)) == pytest.approx(0.12 * np.sqrt(2), rel=0.3)
    blurred = changed(words, replace(NOTHING, blur=1), np.random.default_rng(0))
    np.testing.assert_allclose(blurred[1:-1], (clean[:-2] + 2 * clean[1:-1] + clean[2:]) / 4, atol=1e-6)
    noisy = changed(words, replace(NOTHING, noise=0.25), np.random.default_rng(0)) - clean
    assert 0 < noisy.std() < 0.25
