"""The GRID sentence code, its words, and the 37 classes a network may output.

GRID: M. Cooke, J. Barker, S. Cunningham, X. Shao, "An audio-visual corpus for speech
perception and automatic speech recognition", JASA 120 (2006). A sentence is
command, colour, preposition, letter, digit, adverb; a clip's name is its six-character code:
``bbaf2n`` is "bin blue at f two now".
"""

from __future__ import annotations

from collections.abc import Iterable

SLOT_NAMES = ("command", "colour", "preposition", "letter", "digit", "adverb")
_CODES: tuple[dict[str, str], ...] = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},  # w is left out: three syllables
    dict(
        zip("z123456789", ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), strict=True)
    ),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
SLOTS: tuple[tuple[str, ...], ...] = tuple(tuple(words.values()) for words in _CODES)
WORDS: tuple[str, ...] = tuple(word for words in SLOTS for word in words)  # 51, all different

BLANK = 0  # the CTC blank has a class of its own
CLASSES = ("", " ", *"abcdefghijklmnopqrstuvwxyz", *"123456789")  # 37; GRID writes zero as z
_INDEX = {symbol: index for index, symbol in enumerate(CLASSES) if symbol}


def code_to_text(code: str) -> str:
    """The sentence of a six-character GRID code, in lower-case words.

    Raises ``ValueError`` naming the character that has no word in its place.
    """
    if len(code) != len(_CODES):
        raise ValueError(f"GRID code {code!r} has {len(code)} characters, not {len(_CODES)}")
    words = []
    for place, table, character in zip(SLOT_NAMES, _CODES, code.lower(), strict=True):
        if character not in table:
            raise ValueError(f"GRID code {code!r}: {character!r} is not a GRID {place}; use one of {''.join(table)}")
        words.append(table[character])
    return " ".join(words)


def text_to_code(text: str) -> str:
    """The six-character GRID code of a sentence; ``ValueError`` if it is no GRID sentence."""
    words = text.split()
    if len(words) != len(_CODES):
        raise ValueError(f"{text!r} has {len(words)} words; a GRID sentence has {len(_CODES)}")
    code = ""
    for place, table, word in zip(SLOT_NAMES, _CODES, words, strict=True):
        found = [character for character, spoken in table.items() if spoken == word]
        if not found:
            raise ValueError(f"{text!r}: {word!r} is not a GRID {place}")
        code += found[0]
    return code


def is_grid(text: str) -> bool:
    """Whether a text is one of GRID's sentences."""
    try:
        text_to_code(text)
    except ValueError:
        return False
    return True


def encode(text: str) -> list[int]:
    """Class indices (1-36) of a text spelled out in lower-case letters, spaces and digits 1-9.

    Raises ``ValueError`` naming the first character that has no class.
    """
    unknown = [symbol for symbol in text if symbol not in _INDEX]
    if unknown:
        raise ValueError(f"{text!r}: character {unknown[0]!r} has no class; spell it out in a-z, 1-9 and spaces")
    return [_INDEX[symbol] for symbol in text]


def decode(classes: Iterable[int]) -> str:
    """The text of class indices; blanks vanish, repeats stay (collapsing is the decoder's job)."""
    return "".join(CLASSES[index] for index in classes)
