"""What a network's classes stand for: letters, characters or pieces of words, and the CTC blank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from gunileo.corpus.grid import BLANK, CLASSES
from gunileo.corpus.labels import spoken
from gunileo.errors import GunileoError

START = "\u2581"  # begins a piece that begins a word, as SentencePiece writes it
_SPACES = (" ", "<space>")


class VocabularyError(GunileoError):
    """A list of tokens that no text can be written in; the caller adds the file's name."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model, by class: the CTC blank is class 0.

    Either one of them is the space, " " or ``<space>``, and the others are characters; or pieces of words, of which
    those that begin a word begin with "\u2581" (T. Kudo, J. Richardson, "SentencePiece", EMNLP 2018). Without either,
    a text is one word. Other names in angle brackets, as ``<unk>`` and ``<eos>``, stand for no text. Case doesn't
    count: texts are in lower case.

    Raises ``VocabularyError`` if the first is no blank, or there is no token beside it that stands for text.
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.tokens or not (self.tokens[BLANK] == "" or _is_name(self.tokens[BLANK])):
            raise VocabularyError(f"the first token is {self.tokens[:1]}; the CTC blank comes first")
        if not self._classes:
            raise VocabularyError("no token stands for a letter or a piece of a word")

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def space(self) -> int | None:
        """The class of the space between words; None where pieces, or nothing, tell where a word begins."""
        return next((number for number, token in enumerate(self.tokens) if token in _SPACES), None)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What each class stands for, in lower case; nothing for the blank and other names in angle brackets."""
        return tuple(" " if one in _SPACES else "" if _is_name(one) else one.lower() for one in self.tokens)

    @cached_property
    def _pieces(self) -> bool:
        return self.space is None and any(token.startswith(START) for token in self.tokens)

    @cached_property
    def _classes(self) -> dict[str, int]:
        """The class of each text but the space; of several, as of "A" and "a", the first."""
        found: dict[str, int] = {}
        for number, text in enumerate(self.texts):
            if text.strip():
                found.setdefault(text, number)
        return found

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._classes))

    def spoken(self, text: str) -> str:
        """The words of a text as they are spelled: lower case, one space between them, no punctuation.

        An apostrophe stays if there is a token that has one.
        """
        if not self._has_apostrophe:
            return spoken(text)
        marked = text.replace("\u2019", "'").replace("'", "\0")
        return spoken(marked).replace("\0", "'")

    @cached_property
    def _has_apostrophe(self) -> bool:
        return any("'" in text for text in self._classes)

    def spell(self, word: str) -> tuple[int, ...]:
        """The classes of a word: the fewest tokens that write it, of as many the ones with the longest first.

        Raises ``ValueError`` naming the first character that no token has, or if no tokens write it together.
        """
        if word not in self._spelled:
            self._spelled[word] = self._spell(word)
        return self._spelled[word]

    @cached_property
    def _spelled(self) -> dict[str, tuple[int, ...]]:
        return {}

    def _spell(self, word: str) -> tuple[int, ...]:
        text = START + word if self._pieces else word
        if unknown := [one for one in word if one not in self._characters]:
            raise ValueError(f"{word!r}: character {unknown[0]!r} has no class; spell it out in {self._alphabet()}")
        fewest: list[tuple[int, ...] | None] = [None] * len(text) + [()]
        for start in range(len(text) - 1, -1, -1):
            for end in range(min(len(text), start + self._longest), start, -1):
                first, rest = self._classes.get(text[start:end]), fewest[end]
                if first is None or rest is None:
                    continue
                best = fewest[start]
                if best is None or len(rest) + 1 < len(best):
                    fewest[start] = (first, *rest)
        if fewest[0] is None or not word:
            raise ValueError(f"{word!r}: can't be written in the model's {len(self)} tokens; use another word")
        return fewest[0]

    @cached_property
    def _characters(self) -> frozenset[str]:
        return frozenset("".join(self._classes))

    def _alphabet(self) -> str:
        """The characters that can be written, neighbours as a range: a-z, 1-9 and spaces."""
        seen = "".join(dict.fromkeys("".join(self._classes).replace(START, "")))
        ordered = seen if self.tokens == CLASSES else "".join(sorted(seen))
        ranges: list[str] = []
        for character in ordered:
            if ranges and ord(character) == ord(ranges[-1][-1]) + 1:
                ranges[-1] = ranges[-1][0] + character
            else:
                ranges.append(character)
        return ", ".join("-".join(one) for one in ranges) + " and spaces"

    def words(self, classes: Iterable[int]) -> list[tuple[str, slice]]:
        """The words that classes write, blanks and repeats left out before, and where each stands among the classes."""
        found: list[tuple[str, slice]] = []
        word, start, number = "", 0, -1
        for number, one in enumerate(classes):
            text = self.texts[one]
            if one == self.space or text.startswith(START):
                found.append((word, slice(start, number)))
                word, start = "", number + (one == self.space)
            word += text.removeprefix(START) if one != self.space else ""
        found.append((word, slice(start, number + 1)))
        return [(word, place) for word, place in found if word]

    def spelling(self, classes: Sequence[int]) -> tuple[int, ...]:
        """The classes of one word without those that stand for no text."""
        return tuple(one for one in classes if self.texts[one])


def _is_name(token: str) -> bool:
    return len(token) > 2 and token[0] == "<" and token[-1] == ">"


GRID = Vocabulary(CLASSES)  # of the models that come with the package
