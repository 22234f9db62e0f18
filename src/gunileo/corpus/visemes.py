"""How GRID's 51 words sound, and which sounds look alike on lips."""

from __future__ import annotations

# As a British speaker says them, in ARPAbet phones without stress.
PRONUNCIATIONS: dict[str, tuple[str, ...]] = {
    word: tuple(phones.split())
    for word, phones in {
        **{"bin": "B IH N", "lay": "L EY", "place": "P L EY S", "set": "S EH T"},
        **{"blue": "B L UW", "green": "G R IY N", "red": "R EH D", "white": "W AY T"},
        **{"at": "AE T", "by": "B AY", "in": "IH N", "with": "W IH DH"},
        **{"a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH"},
        **{"i": "AY", "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY"},
        **{"q": "K Y UW", "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY", "x": "EH K S"},
        **{"y": "W AY", "z": "Z EH D"},
        **{"zero": "Z IH R OW", "one": "W AH N", "two": "T UW", "three": "TH R IY", "four": "F AO R"},
        **{"five": "F AY V", "six": "S IH K S", "seven": "S EH V AH N", "eight": "EY T", "nine": "N AY N"},
        **{"again": "AH G EH N", "now": "N AW", "please": "P L IY Z", "soon": "S UW N"},
    }.items()
}

# The twelve visemes, each as the phones that it looks like, of C. Neti, G. Potamianos, J. Luettin, I. Matthews,
# H. Glotin, D. Vergyri, J. Sison, A. Mashari, J. Zhou, "Audio-visual speech recognition", workshop report, Johns
# Hopkins University, 2000; one of the maps that H. Bear and R. Harvey compare in "Phoneme-to-viseme mappings: the
# good, the bad, and the ugly", Speech Communication 95 (2017).
VISEMES: tuple[tuple[str, ...], ...] = tuple(
    tuple(phones.split())
    for phones in (
        *("P B M", "F V", "TH DH", "T D N", "S Z", "SH ZH CH JH", "L R Y", "NG K G W"),
        *("AO AH AA ER OY AW HH", "UW UH OW", "AE EH EY AY", "IH IY AX"),
    )
)
VISEME_NAMES: tuple[str, ...] = tuple("-".join(phones).lower() for phones in VISEMES)
_VISEME_OF = {phone: name for phones, name in zip(VISEMES, VISEME_NAMES, strict=True) for phone in phones}


def visemes(word: str) -> tuple[str, ...]:
    """The names of the visemes of one of GRID's words in the order they are said; empty for any other word."""
    return tuple(_VISEME_OF[phone] for phone in PRONUNCIATIONS.get(word, ()))
