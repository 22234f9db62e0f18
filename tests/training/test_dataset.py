from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.grid import BLANK, WORDS, encode
from gunileo.corpus.labels import WordTime
from gunileo.decoding.ctc import ctc_frames
from gunileo.training.augmentation import (
    Augmentation,
    boundary,
    concatenate,
    jitter,
    light,
    move,
    perturb_speed,
    word_span,
)
from gunileo.training.dataset import NO_WORD, Clips, Sample, SpansApart, collate, frame_words
from gunileo.vision.crop import normalise


class Unread:
    """Stands where a cache does and counts what is read from it: nothing may be before it is asked for."""

    def __init__(self) -> None:
        self.reads = 0

    def load(self, utterance: CachedUtterance) -> np.ndarray:
        self.reads += 1
        return np.random.default_rng(0).integers(0, 255, (utterance.frames, 100, 150), np.uint8)


def spoken(text: str = "bin blue at f two now", frames: int = 75) -> CachedUtterance:
    """Five frames a word, beginning with frame 10."""
    words = [WordTime(word, (10 + 5 * i) / 25, (15 + 5 * i) / 25) for i, word in enumerate(text.split())]
    return CachedUtterance("s1/x", "s1", frames, text, tuple(words), "s1/x.png")


def test_building_and_slicing_read_nothing() -> None:
    cache = Unread()
    clips = Clips(cache, [spoken()] * 5000)  # type: ignore[arg-type]
    part = clips[0:128]
    assert (len(clips), len(part), cache.reads) == (5000, 128, 0)
    part[7]
    assert cache.reads == 1


def test_a_slice_keeps_its_spans() -> None:
    cache = Unread()
    clips = Clips(cache, [spoken()] * 9, WORDS, Augmentation(), frozenset({1, 6, 8}))  # type: ignore[arg-type]
    assert clips[5:9].spans == {1, 3}
    assert clips[::-2].spans == {0, 1}
    assert torch.equal(clips[-1].crops, clips[8].crops)


def test_items_of_a_real_cache(synthetic_cache: Path) -> None:
    cache = Cache(synthetic_cache)
    clips = Clips(cache, cache.utterances, WORDS)
    for utterance, sample in zip(cache.utterances, clips, strict=True):
        assert sample.text == utterance.text
        assert sample.crops.shape == (1, utterance.frames, 100, 150)
        assert torch.equal(sample.crops[0], torch.from_numpy(normalise(cache.load(utterance))))
        assert sample.classes.tolist() == encode(utterance.text)
        assert BLANK not in sample.classes
        said = [WORDS[i - 1] for i in sample.words.unique_consecutive().tolist() if i > 0]
        assert " ".join(said) == utterance.text


def test_each_frame_names_its_word() -> None:
    labels = frame_words(spoken(), WORDS)
    assert labels[:10].tolist() == [0] * 10
    assert labels[10:15].tolist() == [1 + WORDS.index("bin")] * 5
    assert labels[35:40].tolist() == [1 + WORDS.index("now")] * 5
    assert not labels[40:].any()


def test_words_without_times_or_unknown_are_left_out_of_the_loss() -> None:
    assert set(frame_words(CachedUtterance("a", "", 9, "bin", (), "a.png"), WORDS)) == {NO_WORD}
    assert frame_words(spoken(), ("bin",))[15] == NO_WORD


@pytest.mark.parametrize("seed", range(30))
def test_spans_follow_word_boundaries(seed: int) -> None:
    utterance = spoken()
    augmentation = Augmentation(margin=2, max_words=3)
    frames, text = word_span(utterance, augmentation, np.random.default_rng(seed))
    words = text.split()
    assert 1 <= len(words) <= 3
    assert text in utterance.text
    first = utterance.text.split().index(words[0])
    start, end = 10 + 5 * first, 10 + 5 * (first + len(words))
    assert frames[0] <= start
    assert frames[-1] + 1 >= end
    assert len(frames) <= max(5 * len(words) + 2 * 2, ctc_frames(text) + 1), "no more than the margin"
    assert (np.diff(frames) == 1).all()
    assert len(frames) >= ctc_frames(text), "CTC can spell it"


def test_concatenations_keep_each_words_place_and_frames() -> None:
    """Every clip's frames hold its own number, so that a frame tells which clip and which word it shows."""
    texts = ["bin blue at f two now", "lay red by a one soon", "set white with q zero please"]
    clips = [replace(spoken(text), id=f"s1/{index}") for index, text in enumerate(texts)]
    random, seen = np.random.default_rng(1), set()
    for _ in range(50):
        pieces = concatenate(clips[0], clips, 0.4, random)
        text = " ".join(piece.text for piece in pieces)
        assert len(text.split()) == 6
        assert all(word in {one.split()[place] for one in texts} for place, word in enumerate(text.split()))
        assert (pieces[0].utterance, pieces[0].start, pieces[-1].end) == (clips[0], 0, 75)
        labels = np.concatenate([frame_words(piece.utterance, WORDS)[piece.start : piece.end] for piece in pieces])
        named = [int(label) for label, before in zip(labels[1:], labels, strict=False) if label and label != before]
        assert [WORDS[label - 1] for label in named] == text.split()
        seen.add(text)
    assert len(seen) > 20
    assert concatenate(clips[0], clips, 0.0, random) == [(clips[0], 0, 75, texts[0])]


def test_concatenations_may_end_early_but_never_lack_a_word() -> None:
    long, short = spoken(), spoken("stop it")
    for seed in range(20):
        for first in (long, short):
            pieces = concatenate(first, [long, short], 0.5, np.random.default_rng(seed))
            said = " ".join(piece.text for piece in pieces).split()
            assert said[1] in {"blue", "it"}
            assert len(said) == len(pieces[-1].utterance.words), "what is shown to the end is all said"
            assert all(piece.end > piece.start for piece in pieces)


def test_a_seam_is_in_the_middle_between_two_words() -> None:
    words = (WordTime("bin", 0.4, 0.6), WordTime("blue", 0.8, 1.0))
    assert boundary(replace(spoken(), words=words), 1) == round(0.7 * 25)


def test_an_item_is_concatenated_of_clips_of_its_speaker_alone() -> None:
    cache = Unread()
    mine, yours = spoken(), replace(spoken("lay red by a one soon"), id="s2/y", speaker="s2")
    augmentation = Augmentation(concatenation=1.0, switch=1.0, speed=0, time_jitter=0)
    apart = Clips(cache, [mine, yours], WORDS, augmentation)  # type: ignore[arg-type]
    assert [apart[0].text, apart[1].text] == [mine.text, yours.text]
    together = Clips(cache, [mine, replace(yours, speaker="s1")], WORDS, augmentation)  # type: ignore[arg-type]
    texts = {together[:][0].text for together.seed in ((0, epoch) for epoch in range(20))}
    assert len(texts) > 10
    whole = Clips(cache, [mine], WORDS, replace(augmentation, concatenation=0))  # type: ignore[arg-type]
    assert whole[0].text == mine.text


def test_ctc_needs_a_blank_between_equal_letters() -> None:
    assert ctc_frames("green") == 6
    assert ctc_frames("bin") == 3
    assert ctc_frames("") == 0


def test_jitter_drops_and_doubles_in_order() -> None:
    frames = jitter(np.arange(2000), 10, 0.2, np.random.default_rng(1))
    assert (np.diff(frames) >= 0).all()
    counts = np.bincount(frames, minlength=2000)
    assert set(counts) == {0, 1, 2}
    assert 0.5 < (counts == 0).sum() / (counts == 2).sum() < 2
    few = np.arange(3)
    assert all(len(jitter(few, 3, 0.9, np.random.default_rng(seed))) >= 3 for seed in range(20))


def test_shift_and_mirror_move_all_frames_alike() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (4, 100, 150), np.uint8)
    seen = set()
    for seed in range(40):
        moved = move(crops, Augmentation(shift=3, rotation=0, scale=0, stretch=0), np.random.default_rng(seed))
        assert moved.shape == crops.shape
        matches = [
            (dy, dx, flip)
            for dy in range(-3, 4)
            for dx in range(-3, 4)
            for flip in (False, True)
            if np.array_equal(
                moved[:, 5:-5, 5:-5], (crops[:, :, ::-1] if flip else crops)[:, 5 + dy : 95 + dy, 5 + dx : 145 + dx]
            )
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len({flip for _, _, flip in seen}) == 2
    assert len(seen) > 20


def test_turns_and_sizes_keep_the_middle_and_stay_within_their_limits() -> None:
    crop = np.zeros((1, 100, 150), np.uint8)
    crop[0, 46:54, 40:110] = 255  # a bar, 8 by 70, in the middle
    still = Augmentation(shift=0, mirror=False, rotation=0, scale=0, stretch=0)
    assert np.array_equal(move(crop, still, np.random.default_rng(0)), crop)
    for seed in range(20):
        turned = move(crop, replace(still, rotation=10), np.random.default_rng(seed))[0]
        ys, xs = np.nonzero(turned > 127)
        slope = np.polyfit(xs, ys, 1)[0]
        assert abs(slope) <= math.tan(math.radians(10)) + 0.01
        assert ys.mean() == pytest.approx(49.5, abs=0.5)
        assert xs.mean() == pytest.approx(74.5, abs=0.5)
        sized = move(crop, replace(still, scale=0.2), np.random.default_rng(seed))[0]
        assert math.exp(-0.2) * 560 * math.exp(-0.2) * 0.8 < (sized > 127).sum() < 560 * math.exp(0.4) * 1.2
    areas = {int((move(crop, replace(still, scale=0.2), np.random.default_rng(s)) > 127).sum()) for s in range(20)}
    assert max(areas) > 1.3 * min(areas)


def test_pace_keeps_order_and_the_fewest_frames() -> None:
    lengths = set()
    for seed in range(30):
        frames = perturb_speed(np.arange(10, 60), 20, 0.1, np.random.default_rng(seed))
        assert (np.diff(frames) >= 0).all()
        assert frames[0] == 10
        assert frames[-1] >= 58
        lengths.add(len(frames))
    assert math.floor(50 * math.exp(-0.1)) <= min(lengths) < 48
    assert 52 < max(lengths) <= math.ceil(50 * math.exp(0.1))
    assert len(perturb_speed(np.arange(50), 60, 0.1, np.random.default_rng(0))) == 60


def test_changes_grow_but_shift_mirror_and_jitter_stay() -> None:
    full = Augmentation()
    assert full.scaled(1) == full
    half = full.scaled(0.5)
    assert (half.rotation, half.shade, half.speed) == (full.rotation / 2, full.shade / 2, full.speed / 2)
    assert (half.shift, half.mirror, half.time_jitter) == (full.shift, full.mirror, full.time_jitter)


def test_light_is_the_same_plane_for_all_frames() -> None:
    flat = np.zeros((3, 100, 150), np.float32)
    lit = light(flat, Augmentation(shade=0.5), np.random.default_rng(4))
    assert (lit == lit[0]).all()
    assert np.allclose(np.diff(lit[0], 2, axis=0), 0, atol=1e-5)
    assert np.allclose(np.diff(lit[0], 2, axis=1), 0, atol=1e-5)
    assert lit[0].std() > 0.01
    assert lit.dtype == np.float32


def test_the_same_seed_gives_the_same_sample_and_another_epoch_another() -> None:
    def draw(epoch: int) -> Sample:
        spans = frozenset({0})
        return Clips(Unread(), [spoken()], WORDS, Augmentation(), spans, (3, epoch))[0]  # type: ignore[arg-type]

    assert torch.equal(draw(1).crops, draw(1).crops)
    assert draw(1).crops.shape != draw(2).crops.shape or not torch.equal(draw(1).crops, draw(2).crops)


def test_batches_are_padded_and_carry_true_lengths() -> None:
    cache = Unread()
    utterances = [spoken("bin blue", 30), spoken("lay green at", 50)]
    batch = collate([Clips(cache, utterances, WORDS)[i] for i in range(2)])  # type: ignore[arg-type]
    assert batch.crops.shape == (2, 1, 50, 100, 150)
    assert batch.lengths.tolist() == [30, 50]
    assert not batch.crops[0, :, 30:].any()
    assert (batch.words[0, 30:] == NO_WORD).all(), "padding reaches no loss"
    assert batch.target_lengths.tolist() == [8, 12]
    assert batch.classes.tolist() == encode("bin blue") + encode("lay green at")
    assert batch.texts == ("bin blue", "lay green at")


def test_spans_and_sentences_are_not_mixed_and_none_is_lost() -> None:
    spans = frozenset(range(0, 50, 3))
    clips = Clips(Unread(), [spoken()] * 50, WORDS, Augmentation(), spans, (0, 1))  # type: ignore[arg-type]
    sampler = SpansApart(clips, 8)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(50))
    assert all(len({index in spans for index in batch}) == 1 for batch in batches)
    assert batches == list(sampler), "the same epoch has the same order"
