"""The synthetic corpus: GRID's layout and words, moving lips that the face models follow."""

from __future__ import annotations

from pathlib import Path

import clips
import numpy as np
import pytest

from gunileo.corpus.grid import code_to_text
from gunileo.corpus.portrait import MouthShape, Portrait
from gunileo.corpus.synthetic import draw_codes, make_corpus, speak
from gunileo.vision.mouth import read_mouth
from gunileo.vision.video import read_frames


@pytest.mark.parametrize("code", ["bbaf2n", "lwwszs", "sgiv7p"])
def test_alignment_covers_the_clip_and_spells_the_sentence(code: str) -> None:
    frames, segments = speak(code, seed=3)
    assert frames.shape == (75, 288, 360, 3)
    assert frames.dtype == np.uint8
    assert segments[0].start == 0
    assert segments[-1].end == 75_000
    assert segments[0].word == segments[-1].word == "sil"
    assert [one.end for one in segments[:-1]] == [one.start for one in segments[1:]]
    assert all(one.end > one.start and one.end % 250 == 0 for one in segments)
    words = [one.word for one in segments if one.word not in ("sil", "sp")]
    assert " ".join(words) == code_to_text(code)


def test_same_arguments_give_the_same_clip_and_others_do_not() -> None:
    frames, segments = speak("bbaf2n", seed=1)
    again, segments_again = speak("bbaf2n", seed=1)
    other, segments_other = speak("bbaf2n", seed=2)
    assert np.array_equal(frames, again)
    assert segments == segments_again
    assert segments != segments_other
    assert np.abs(frames.astype(int) - other).mean() > 2


def test_lips_move_when_they_speak() -> None:
    frames, segments = clips.talking()
    grey = frames.mean(-1)
    change = np.abs(np.diff(grey[:, 200:245, 150:210], axis=0)).mean((1, 2))
    words = [one for one in segments if one.word != "sil"]
    first, last = words[0].start // 1000, words[-1].end // 1000
    silent = np.concatenate([change[: first - 3], change[last + 3 :]])
    assert change[first:last].mean() > 2 * silent.mean()


def test_open_mouth_is_dark_inside_and_pressed_lips_are_not() -> None:
    portrait = Portrait()
    mouth = (slice(210, 240), slice(165, 195))
    wide = portrait.draw(MouthShape(width=16.5, gap=14, jaw=10))[mouth].mean(-1)
    shut = portrait.draw(MouthShape(width=16.5, press=1))[mouth].mean(-1)
    assert (wide < 60).mean() > 0.1
    assert (shut < 60).mean() < 0.02


def test_eyes_and_hair_stay_where_they_are_when_the_mouth_opens() -> None:
    portrait = Portrait()
    rest, wide = portrait.draw(MouthShape()), portrait.draw(MouthShape(gap=14, jaw=10))
    assert np.array_equal(rest[:185], wide[:185])
    assert not np.array_equal(rest[185:], wide[185:])


def test_even_speakers_are_mirrored() -> None:
    one, two = Portrait(1).draw(MouthShape()), Portrait(2).draw(MouthShape())
    apart = [np.abs(one.astype(int) - face).mean() for face in (two, two[:, ::-1])]
    assert apart[1] < apart[0] / 2


def test_corpus_has_grids_layout(tmp_path: Path) -> None:
    videos = make_corpus(tmp_path, ["bbaf2n"], speakers=2)
    assert videos == [tmp_path / "s1" / "bbaf2n.mp4", tmp_path / "s2" / "bbaf2n.mp4"]
    for video in videos:
        frames = list(read_frames(video))
        assert len(frames) == 75
        assert frames[0].shape == (288, 360, 3)
        lines = (tmp_path / "align" / video.parent.name / "bbaf2n.align").read_text().split("\n")
        assert lines[0].split()[::2] == ["0", "sil"]
        assert lines[-2].split()[1:] == ["75000", "sil"]


def test_corpus_draws_different_sentences_of_the_words_asked_for() -> None:
    slots = (("bin", "lay"), ("blue",), ("at",), ("a", "b"), ("two",), ("now", "soon"))
    codes = draw_codes(8, slots=slots)
    assert len(set(codes)) == 8
    assert {code[0] for code in codes} == {"b", "l"}
    with pytest.raises(ValueError, match="8 are possible"):
        draw_codes(9, slots=slots)
    assert draw_codes(20, seed=1) != draw_codes(20, seed=2)


def test_corpus_refuses_a_sentence_twice_and_what_is_no_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="comes twice"):
        make_corpus(tmp_path, ["bbaf2n", "bbaf2n"])
    with pytest.raises(ValueError, match="is not a GRID letter"):
        make_corpus(tmp_path, ["bbaw2n"])


def test_face_models_follow_the_face_and_see_the_mouth_open(synthetic_corpus: Path) -> None:
    for video in sorted(synthetic_corpus.glob("s*/*.mp4")):
        crops = read_mouth(video).crops
        assert crops.shape == (75, 100, 150)
        # The mouth is in the middle: that is where the clip changes most.
        change = crops.astype(float).std(0)
        middle, edge = change[30:75, 40:110].mean(), np.concatenate([change[:, :15], change[:, -15:]]).mean()
        assert middle > 1.5 * edge
        dark = (crops[:, 35:75, 50:100] < 50).mean((1, 2))  # the opening
        assert dark[:5].max() < 0.02
        assert dark.max() > 0.08
