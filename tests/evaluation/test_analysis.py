"""A report's results, counted by hand on a few readings."""

import pytest
from readings import SAID, clip, read

from gunileo.corpus.grid import SLOTS
from gunileo.corpus.visemes import VISEME_NAMES
from gunileo.evaluation.analysis import alike, chosen, matrices, negatives, reliabilities, sureness, viseme_pairs, worst

LETTERS, DIGITS = SLOTS[3], SLOTS[4]


def test_matrices_count_letters_digits_and_visemes() -> None:
    clips = [
        clip("s1/a", "bin blue at b two now", "", "bin blue at p six now"),
        clip("s1/b", "bin blue at b two now", "", "bin blue at b two now"),
        clip("s1/c", "bin blue at p two now", "", "bin blue at two now"),
        clip("s1/d", "good morning", "", "b b"),
    ]
    found = matrices(clips, "grammar")
    b, p = LETTERS.index("b"), LETTERS.index("p")
    assert (found["letters"].counts[b][p], found["letters"].counts[b][b]) == (1, 1)
    assert found["letters"].counts[p][-1] == 1  # nothing was read for it
    assert sum(map(sum, found["letters"].counts)) == 3  # of GRID's sentences alone
    two, six = DIGITS.index("two"), DIGITS.index("six")
    assert (found["digits"].counts[two][six], found["digits"].counts[two][two]) == (1, 2)
    # b and p are one viseme: in "b" read as "p" both of its visemes are right
    lips = VISEME_NAMES.index("p-b-m")
    assert found["visemes"].counts[lips][lips] == 3 + 3 + 2  # bin, blue, and the two letters that were read
    assert found["visemes"].counts[lips][-1] == 1  # the letter that was not
    assert sum(map(sum, matrices(clips, "greedy")["letters"].counts)) == 3


def test_visemes_of_words_are_aligned() -> None:
    assert list(viseme_pairs("f", "s")) == [("ae-eh-ey-ay", "ae-eh-ey-ay"), ("f-v", "s-z")]
    assert list(viseme_pairs("e", "b")) == [("ih-iy-ax", "ih-iy-ax")]
    assert list(viseme_pairs("b", "e")) == [("p-b-m", ""), ("ih-iy-ax", "ih-iy-ax")]
    assert list(viseme_pairs("b", "bee")) == [("p-b-m", ""), ("ih-iy-ax", "")]
    assert list(viseme_pairs("morning", "b")) == []


def test_wrong_words_that_look_the_same() -> None:
    clips = [
        clip("s1/a", "bin blue at b two now", "bin blue at p two now", "set blue at d two soon"),
        clip("s1/b", "bin blue at t two now", "bin blu at e two", "bin blue at d two now"),
    ]
    assert (alike(clips, "greedy").wrong, alike(clips, "greedy").alike) == (2, 1)  # "blu" is no word of GRID
    assert (alike(clips, "grammar").wrong, alike(clips, "grammar").alike) == (4, 1)


def test_reliability_of_words_and_sentences() -> None:
    clips = [
        clip("s1/a", SAID[0], "", read(SAID[0], 0.5, words=[1.0] * 6)),
        clip("s1/b", SAID[1], "", read("lay white with f nine again", 0.5, words=[1.0] * 6)),
    ]
    found = reliabilities(clips, "grammar")
    assert (found["words"].readings, found["sentences"].readings) == (12, 2)
    assert found["words"].error == pytest.approx(1 / 12)
    assert found["sentences"].error == 0  # one of two right, at confidence 0.5
    assert [(one.count, one.right) for one in found["sentences"].bins] == [(2, 0.5)]
    assert reliabilities(clips, "greedy") == {}


def test_being_sure_is_told_by_its_errors() -> None:
    clips = [
        clip("s1/a", SAID[0], SAID[0], read("bin blue at s two now")),
        clip("s1/b", SAID[1], SAID[1], read("bin blue at s two now", sure=False)),
    ]
    found = sureness(clips, "grammar")
    assert (found.sure, found.unsure, found.unsure_share, found.unsure_interval) == (1, 1, 0.5, (0, 1))
    assert (found.wer_sure, found.wer_unsure) == (pytest.approx(1 / 6), pytest.approx(5 / 6))
    assert sureness(clips, "greedy").wer_unsure is None


def test_worst_clips_first() -> None:
    clips = [
        clip("s1/right", SAID[0], SAID[0], SAID[0]),
        clip("s1/greedy", SAID[0], "bin", SAID[0]),
        clip("s1/unsure", SAID[0], SAID[0], read("bin blue at s two now", 0.3, sure=False)),
        clip("s1/sure", SAID[0], SAID[0], read("bin blue at s two now", 0.7)),
        clip("s1/two", SAID[0], SAID[0], read("bin blue at s two soon", 0.1)),
    ]
    found = worst(clips)
    assert [one.id for one in found] == ["s1/two", "s1/sure", "s1/unsure", "s1/greedy"]
    assert [one.words_wrong for one in found] == [2, 1, 1, 0]
    assert (found[2].sure, found[2].confidence, found[2].grammar) == (False, 0.3, "bin blue at s two now")
    assert len(worst(clips, count=2)) == 2


def test_words_to_explain() -> None:
    clips = [
        clip("s1/a", SAID[0], "", read("bin blue at s two now", words=[0.99, 0.9, 0.9, 0.7, 0.9, 0.9])),
        clip("s1/b", SAID[1], "", read("lay white by s one again", words=[0.9, 0.9, 0.5, 0.6, 0.8, 0.9])),
        clip("s1/c", SAID[1], "", read(SAID[1], words=[0.9, 0.9, 0.4, 0.95, 0.9, 0.9])),
        clip("s1/d", SAID[1], "", read("lay white with f nine again", words=[0.9, 0.9, 0.3, 0.5, 0.8, 0.9])),
        clip("s1/free", "good morning", "", SAID[0]),
        clip("s1/none", SAID[0], "", ""),
    ]
    # "one" is the surest wrong word; most wrong are letters, then prepositions (before digits, as wrong as they are)
    assert [(one.id, place) for one, place in chosen(clips)] == [("s1/b", 4), ("s1/c", 3), ("s1/a", 2)]
    assert chosen(clips[4:]) == []


def test_negatives_are_measured_against_clips_that_were_read_well() -> None:
    good = [clip(f"s1/{n}", SAID[0], "", read("bin blue at s two now", 0.5 + n / 1000)) for n in range(200)]
    bad = [clip(f"s1/bad{n}", SAID[0], "", read(SAID[1], 0.01)) for n in range(20)]
    # 1 % of 200 good clips, 0.500 and 0.501, may be rejected, so 0.502 is the limit
    posed = {"still": [read(SAID[0], 0.501, sure=False), read(SAID[0], 0.502), read("", 0.0)], "none": []}
    (found,) = negatives([*bad, *good], posed)
    assert (found.kind, found.clips) == ("still", 3)
    assert found.unsure == pytest.approx(1 / 3)
    assert found.rejected == pytest.approx(2 / 3)
    assert negatives(bad, posed)[0].rejected is None
    # all that was said is there, but most of what was read was not said
    added = clip("s1/more", "good morning", "", read("good morning to you all", 0.001))
    assert negatives([*good, added], posed)[0].rejected == pytest.approx(2 / 3)
    assert negatives([added], posed)[0].rejected is None
