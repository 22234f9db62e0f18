"""Pronunciations and visemes cover GRID's words."""

from gunileo.corpus.grid import WORDS
from gunileo.corpus.visemes import PRONUNCIATIONS, VISEME_NAMES, VISEMES, visemes


def test_every_word_of_grid_has_a_pronunciation() -> None:
    assert set(PRONUNCIATIONS) == set(WORDS)
    assert PRONUNCIATIONS["five"] == ("F", "AY", "V")


def test_every_sound_looks_like_one_viseme() -> None:
    listed = [phone for phones in VISEMES for phone in phones]
    assert len(listed) == len(set(listed))
    assert len(set(VISEME_NAMES)) == len(VISEMES) == 12
    assert {phone for phones in PRONUNCIATIONS.values() for phone in phones} <= set(listed)


def test_words_that_look_alike() -> None:
    assert visemes("b") == visemes("p") == ("p-b-m", "ih-iy-ax")
    assert visemes("d") == visemes("t")
    assert visemes("f") != visemes("s")
    assert visemes("morning") == ()
