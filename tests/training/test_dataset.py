from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mouths import face, measured

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
from gunileo.training.dataset import NO_WORD, Clips, Draws, LikeWithLike, Sample, collate, frame_words
from gunileo.training.shape_augmentation import ShapeAugmentation, Silences, relative
from gunileo.vision.crop import normalise
from gunileo.vision.mouth_shape import FEATURES


class Unread:
    """Stands where a cache does and counts what is read from it: nothing may be before it is asked for."""

    def __init__(self) -> None:
        self.reads = 0

    def crops(self, utterance: CachedUtterance) -> np.ndarray:
        self.reads += 1
        return np.random.default_rng(0).integers(0, 255, (utterance.frames, 100, 150), np.uint8)

    def measures(self, utterance: CachedUtterance) -> np.ndarray:
        found = measured(face(utterance.frames))
        if not utterance.has_crops:  # of words alone
            found[:10] = found[10 + 5 * len(utterance.words) :] = np.nan
        return found


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
    draws = Draws(Augmentation(), spans=frozenset({1, 6, 8}), shapes=frozenset({2, 8}))
    clips = Clips(cache, [spoken()] * 9, WORDS, draws)  # type: ignore[arg-type]
    assert (clips[5:9].draws.spans, clips[5:9].draws.shapes) == ({1, 3}, {3})
    assert (clips[::-2].draws.spans, clips[::-2].draws.shapes) == ({0, 1}, {0, 3})
    assert clips[-1].crops is clips[8].crops is None
    assert torch.equal(clips[-1].shape, clips[8].shape)


def test_items_of_a_real_cache(synthetic_cache: Path) -> None:
    cache = Cache(synthetic_cache)
    clips = Clips(cache, cache.utterances, WORDS)
    for utterance, sample in zip(cache.utterances, clips, strict=True):
        assert sample.text == utterance.text
        assert sample.crops.shape == (1, utterance.frames, 100, 150)
        clip = cache.load(utterance)
        assert torch.equal(sample.crops[0], torch.from_numpy(normalise(clip.crops)))
        torch.testing.assert_close(sample.shape, torch.from_numpy(clip.shape()), atol=1e-5, rtol=0)
        assert sample.seen.tolist() == [1, 1]
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
    apart = Clips(cache, [mine, yours], WORDS, Draws(augmentation))  # type: ignore[arg-type]
    assert [apart[0].text, apart[1].text] == [mine.text, yours.text]
    together = Clips(cache, [mine, replace(yours, speaker="s1")], WORDS, Draws(augmentation))  # type: ignore[arg-type]
    texts = {
        Clips(cache, together.utterances, WORDS, Draws(augmentation, seed=(0, epoch)))[0].text  # type: ignore[arg-type]
        for epoch in range(20)
    }
    assert len(texts) > 10
    whole = Clips(cache, [mine], WORDS, Draws(replace(augmentation, concatenation=0)))  # type: ignore[arg-type]
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
        draws = Draws(Augmentation(), spans=frozenset({0}), seed=(3, epoch))
        return Clips(Unread(), [spoken()], WORDS, draws)[0]  # type: ignore[arg-type]

    assert torch.equal(draw(1).crops, draw(1).crops)
    assert torch.equal(draw(1).shape, draw(1).shape)
    assert draw(1).crops.shape != draw(2).crops.shape or not torch.equal(draw(1).crops, draw(2).crops)


def test_batches_are_padded_and_carry_true_lengths() -> None:
    cache = Unread()
    utterances = [spoken("bin blue", 30), spoken("lay green at", 50)]
    batch = collate([Clips(cache, utterances, WORDS)[i] for i in range(2)])  # type: ignore[arg-type]
    assert batch.crops.shape == (2, 1, 50, 100, 150)
    assert batch.shape.shape == (2, 50, FEATURES)
    assert not batch.shape[0, 30:].any()
    assert batch.lengths.tolist() == [30, 50]
    assert not batch.crops[0, :, 30:].any()
    assert (batch.words[0, 30:] == NO_WORD).all(), "padding reaches no loss"
    assert batch.target_lengths.tolist() == [8, 12]
    assert batch.classes.tolist() == encode("bin blue") + encode("lay green at")
    assert batch.texts == ("bin blue", "lay green at")


def test_spans_and_sentences_are_not_mixed_and_none_is_lost() -> None:
    spans = frozenset(range(0, 50, 3))
    clips = Clips(Unread(), [spoken()] * 50, WORDS, Draws(Augmentation(), spans=spans, seed=(0, 1)))  # type: ignore[arg-type]
    sampler = LikeWithLike(clips, 8)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(50))
    assert all(len({index in spans for index in batch}) == 1 for batch in batches)
    assert batches == list(sampler), "the same epoch has the same order"


def known_by_shape(text: str = "bin blue at f two now", frames: int = 75) -> CachedUtterance:
    return replace(spoken(text, frames), id="s2/y", speaker="s2", file="")


def test_a_clip_of_words_alone_gets_silence_around_them() -> None:
    silences = Silences([(np.random.default_rng(0).normal(size=(40, FEATURES)).astype(np.float32), 15, 25)])
    lengths = set()
    for epoch in range(10):
        draws = Draws(Augmentation(), silences=silences, seed=(0, epoch))
        sample = Clips(Unread(), [known_by_shape()], WORDS, draws)[0]  # type: ignore[arg-type]
        assert sample.crops is None
        assert sample.seen.tolist() == [0, 1]
        assert torch.isfinite(sample.shape).all()
        assert sample.shape.shape == (len(sample.words), FEATURES)
        assert sample.words[0] == sample.words[-1] == 0, "silence"
        said = [WORDS[i - 1] for i in sample.words.unique_consecutive().tolist() if i > 0]
        assert " ".join(said) == sample.text == "bin blue at f two now"
        lengths.add(len(sample.words))
    assert len(lengths) > 3, "silences are drawn"


def test_a_span_of_a_clip_of_words_alone_holds_its_ends() -> None:
    draws = Draws(Augmentation(), ShapeAugmentation(), spans=frozenset({0}), seed=(0, 0))
    sample = Clips(Unread(), [known_by_shape()], WORDS, draws)[0]  # type: ignore[arg-type]
    assert torch.isfinite(sample.shape).all()
    assert len(sample.words) < 75 - 10


def test_without_draws_silence_around_words_is_the_same_each_time() -> None:
    clips = Clips(Unread(), [known_by_shape()], WORDS)  # type: ignore[arg-type]
    assert torch.equal(clips[0].shape, clips[0].shape)
    whole = torch.from_numpy(relative(Unread().measures(known_by_shape())))[10:40]
    start = int((clips[0].words > 0).nonzero()[0])
    torch.testing.assert_close(clips[0].shape[start : start + 30].diff(dim=0), whole.diff(dim=0), atol=1e-4, rtol=0)


def test_the_shape_is_left_out_beside_crops_now_and_then_and_never_alone() -> None:
    augmentation = Augmentation(without_shape=0.5)
    seen = {True: set(), False: set()}
    for epoch in range(20):
        draws = Draws(augmentation, shapes=frozenset({1}), seed=(0, epoch))
        for index, clip in enumerate(Clips(Unread(), [spoken(), spoken()], WORDS, draws)):  # type: ignore[arg-type]
            assert (clip.crops is None) == (index == 1)
            seen[index == 1].add(tuple(clip.seen.tolist()))
    assert seen == {False: {(1, 0), (1, 1)}, True: {(0, 1)}}


def test_clips_with_crops_and_without_are_in_batches_of_their_own() -> None:
    alone = frozenset(range(0, 30, 4))
    utterances = [spoken()] * 30 + [known_by_shape()] * 40
    clips = Clips(Unread(), utterances, WORDS, Draws(Augmentation(), shapes=alone, seed=(0, 1)))  # type: ignore[arg-type]
    sampler = LikeWithLike(clips, 4, 16)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(70))
    for batch in batches:
        assert len({clips.with_crops(index) for index in batch}) == 1
        assert len(batch) <= (4 if clips.with_crops(batch[0]) else 16)
    assert sum(len(batch) == 16 for batch in batches) == 3  # of 48
    assert [list(batch) for batch in LikeWithLike(clips, 4, 16, own=lambda batch: batch[::2])] == [
        b[::2] for b in batches
    ]


def test_batches_of_shapes_alone_have_no_crops() -> None:
    clips = Clips(Unread(), [known_by_shape("bin blue"), known_by_shape()], WORDS)  # type: ignore[arg-type]
    batch = collate([clips[0], clips[1]])
    assert batch.crops is None
    assert batch.seen.tolist() == [[0, 1], [0, 1]]
    assert batch.shape.shape == (2, int(batch.lengths.max()), FEATURES)
    assert batch.to(torch.device("cpu")).crops is None


def test_a_speakers_shapes_are_concatenated_with_shapes_alone() -> None:
    augmentation = Augmentation(concatenation=1.0, switch=1.0, speed=0, time_jitter=0)
    seen, heard = spoken(), replace(known_by_shape("lay red by a one soon"), speaker="s1")
    for epoch in range(5):
        clips = Clips(Unread(), [seen, heard], WORDS, Draws(augmentation, seed=(0, epoch)))  # type: ignore[arg-type]
        assert [clip.text for clip in clips] == [seen.text, heard.text]
