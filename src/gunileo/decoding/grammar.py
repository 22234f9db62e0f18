"""Which sentences can be said: slots, lists or rules of words, compiled to one graph of CTC paths.

The words become an automaton that is deterministic (a sentence has one way through it, however many rules give it)
and minimal (what goes on alike is there once): J. Hopcroft, R. Motwani, J. Ullman, "Introduction to Automata Theory,
Languages, and Computation", chapters 2 and 4.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.grid import BLANK, SLOTS
from gunileo.corpus.labels import CorpusError, read_lines
from gunileo.decoding.vocabulary import GRID, Vocabulary
from gunileo.errors import GunileoError

_BRACKETS = {")": "(", "]": "["}
_MAX_PLACES = 100_000  # of the automaton; options in a row can double them with each
_MAX_STATES = 100_000  # of the graph: a clip of ten seconds then takes about a gigabyte to decode

Ints = NDArray[np.intp]


class GrammarError(GunileoError):
    """A grammar that can't be used; the line says where and what to do."""


class Grammar:
    """A finite set of sentences, compiled to the graph of all their CTC paths in the tokens of a ``vocabulary``.

    A word of the grammar is a word and the place that it leads to: what may follow. In a grammar of slots that is
    the word in its slot. ``words`` names them, and ``word_of``, ``entries`` and ``first`` count in that order.

    A state of the graph is one symbol of one word, a blank between two of them, or the blank, space and blank
    between two words; of a vocabulary of pieces, the blank between two words, which may be left out where their
    tokens differ. A path through the graph belongs to exactly one sentence. A word is spelled in one way.
    """

    def __init__(self, slots: Sequence[Sequence[str]], vocabulary: Vocabulary = GRID) -> None:
        """A sentence has one word of each slot.

        ``GrammarError`` if a slot is empty, repeats a word or has a word that the vocabulary can't spell.
        """
        if not slots or any(not slot or len(set(slot)) < len(slot) for slot in slots):
            raise GrammarError("a grammar needs slots, each with different words; correct its slots")
        net = _Net(vocabulary)
        place = 0
        for number, slot in enumerate(slots, 1):
            target = net.point() if number < len(slots) else 1
            for word in slot:
                if vocabulary.spoken(word) != word or " " in word or not word:
                    raise GrammarError(f"slot {number}: {word!r} is not a single lower-case word; write it as one")
                net.say(place, word, target, f"slot {number}")
            place = target
        self._build(net, "the grammar")

    @classmethod
    @functools.cache
    def grid(cls) -> Grammar:
        """The 64,000 sentences of the GRID corpus."""
        return cls(SLOTS)

    @classmethod
    def from_sentences(cls, sentences: Iterable[str], vocabulary: Vocabulary = GRID) -> Grammar:
        """A grammar of these sentences. Case and punctuation don't count. Repeated sentences count once.

        Raises ``GrammarError`` if there are none, or if one is empty or has a character that the vocabulary can't
        spell.
        """
        net = _Net(vocabulary)
        for number, sentence in enumerate(sentences, 1):
            where = f"sentence {number}"
            if not vocabulary.spoken(sentence):
                raise GrammarError(f"{where} is empty; leave it out")
            net.say(0, sentence, 1, where)
        return cls._of(net, "the list")

    @classmethod
    def from_words(cls, words: Sequence[tuple[str, tuple[int, ...]]], vocabulary: Vocabulary) -> Grammar:
        """One sentence, of words that are spelled in these classes; ``GrammarError`` if there is no word."""
        net = _Net(vocabulary)
        for number, (word, _) in enumerate(words):
            target = net.point() if number + 1 < len(words) else 1
            net.arcs[number + 1 if number else 0].append((word, target))
        return cls._of(net, "the sentence", [classes for _, classes in words])

    @classmethod
    def from_text(cls, text: str, name: str = "grammar", vocabulary: Vocabulary = GRID) -> Grammar:
        """A grammar of rules, one on each line: ``turn (on|off) the [big] light``.

        ``(a|b)`` means one of several. ``[a]`` may be left out. Both hold words and further brackets, and one of the
        several may be empty. A ``#`` begins a comment. Case and punctuation don't count. Raises ``GrammarError`` if
        there is no rule, and for a bad rule, with ``name`` and the line's number.
        """
        net = _Net(vocabulary)
        for number, line in enumerate(text.splitlines(), 1):
            rule = line.partition("#")[0]
            if rule.strip():
                _add_rule(net, rule, f"{name}: line {number}")
        return cls._of(net, name)

    @classmethod
    def from_file(cls, path: Path | str, vocabulary: Vocabulary = GRID) -> Grammar:
        """The rules in a UTF-8 text file, as ``from_text`` reads them. Raises ``GrammarError`` if it can't be read."""
        try:
            lines = read_lines(path)
        except CorpusError as error:
            raise GrammarError(f"{error}; give a text file of sentences, one on each line") from None
        return cls.from_text("\n".join(lines), str(path), vocabulary)

    def spelled_in(self, vocabulary: Vocabulary) -> Grammar:
        """The same sentences in the tokens of another model; compiled once.

        ``GrammarError`` if the vocabulary can't spell one of the words.
        """
        if vocabulary == self.vocabulary:
            return self
        if vocabulary not in self._others:
            other = Grammar.__new__(Grammar)
            try:
                other._compiled(self.name, vocabulary, self.arcs, self.accepting)
            except ValueError as error:
                raise GrammarError(f"{self.name}: {error}") from None
            self._others[vocabulary] = other
        return self._others[vocabulary]

    @classmethod
    def _of(cls, net: _Net, name: str, spellings: Sequence[tuple[int, ...]] = ()) -> Grammar:
        grammar = cls.__new__(cls)
        if not net.arcs[0]:
            raise GrammarError(f"{name} holds no sentence; write at least one, such as: turn (on|off) the light")
        grammar._build(net, name, spellings)
        return grammar

    def _build(self, net: _Net, name: str, spellings: Sequence[tuple[int, ...]] = ()) -> None:
        self._compiled(name, net.vocabulary, *_minimal(*_deterministic(net, name)), spellings)

    def _compiled(
        self,
        name: str,
        vocabulary: Vocabulary,
        arcs: list[dict[str, int]],
        accepting: set[int],
        spellings: Sequence[tuple[int, ...]] = (),
    ) -> None:
        """``spellings`` are those of the words, where they are not the vocabulary's own."""
        self.name, self.vocabulary = name, vocabulary  # the first for messages
        self.arcs, self.accepting = arcs, accepting  # place → word → place; places that may end
        self._spellings = spellings
        self._others: dict[Vocabulary, Grammar] = {}
        self.words: list[str] = []
        self.classes_of: list[tuple[int, ...]] = []  # for each word: its classes
        self.targets_of: list[int] = []  # for each word: the place that it leads to
        self.index: dict[tuple[str, int], int] = {}  # the number of a word by these two
        self.symbols: list[int] = []  # class of each state
        self.word_of: list[int] = []  # word of each state; -1 for states between words
        self.entries: list[list[int]] = []  # for each word: the states that a path can come from
        self.first: list[int] = []  # for each word: its first state
        self.openers: list[int] = []  # words that a sentence can begin with
        self.starts: list[int] = []  # states that a path may begin in
        self.ends: list[int] = []  # states that it may end in
        edges: list[tuple[int, int]] = []
        self._compile(edges)
        self.min_frames = self._min_frames()  # of the shortest sentence
        self.sources, self.source_starts = grouped(edges, key=1)  # the states before each state
        self.targets, self.target_starts = grouped(edges, key=0)  # the states after each state

    def _compile(self, edges: list[tuple[int, int]]) -> None:
        leading: list[dict[str, list[int]]] = [{} for _ in self.arcs]  # place → word → places that it comes from
        for source, arcs in enumerate(self.arcs):
            for word, target in arcs.items():
                leading[target].setdefault(word, []).append(source)
        space = self.vocabulary.space
        before: list[list[int]] = []  # for each place: the states that a word from it can follow
        for place, words in enumerate(leading):  # a word leads to a later place only
            lasts = []
            for word, sources in words.items():
                entries = list(chain.from_iterable(before[source] for source in sources))
                lasts.append(self._word(word, place, entries, edges))
                if 0 in sources:
                    self.openers.append(len(self.words) - 1)
            blank = self._state(BLANK, lasts, edges)
            if place in self.accepting:
                self.ends += [*lasts, blank]
            if place == 0:
                before.append([blank])
            elif self.arcs[place] and space is not None:
                after = self._state(space, [*lasts, blank], edges)
                before.append([after, self._state(BLANK, [after], edges)])
            else:
                before.append([*lasts, blank])
        self.starts = [*before[0], *(self.first[word] for word in self.openers)]

    def _word(self, word: str, place: int, entries: list[int], edges: list[tuple[int, int]]) -> int:
        """Add a word's states; its last one."""
        number = self.index[word, place] = len(self.words)
        classes = self._spellings[place - 1] if self._spellings else self.vocabulary.spell(word)
        entries = [state for state in entries if self.symbols[state] != classes[0]]  # between equals is a blank
        self.words.append(word)
        self.classes_of.append(classes)
        self.targets_of.append(place)
        self.entries.append(entries)
        state = self._state(classes[0], entries, edges, number)
        self.first.append(state)
        for previous, symbol in pairwise(classes):
            blank = self._state(BLANK, [state], edges, number)
            # a doubled letter ("green") needs a blank between, or the two would be one
            state = self._state(symbol, [blank] if previous == symbol else [blank, state], edges, number)
        return state

    def _state(self, symbol: int, before: Sequence[int], edges: list[tuple[int, int]], word: int = -1) -> int:
        state = len(self.symbols)
        if state == _MAX_STATES:
            raise GrammarError(f"{self.name} takes more than {_MAX_STATES} states; use fewer sentences or a lexicon")
        self.symbols.append(symbol)
        self.word_of.append(word)
        edges += [(source, state) for source in (state, *before)]
        return state

    def _min_frames(self) -> int:
        space = self.vocabulary.space is not None
        shortest: list[dict[int, int]] = [{} for _ in self.arcs]  # frames after a word to the end, by its last class

        def onward(place: int, last: int) -> int:
            if place in self.accepting:
                return 0
            if (key := -1 if space else last) not in shortest[place]:
                shortest[place][key] = min(
                    int(place > 0 and (space or self.classes_of[number][0] == last))  # a space, or a blank
                    + _frames(self.classes_of[number])
                    + rest[number]
                    for number in (self.index[arc] for arc in self.arcs[place].items())
                )
            return shortest[place][key]

        rest = [0] * len(self.words)
        for number in range(len(self.words) - 1, -1, -1):  # a word's number goes up with its place
            rest[number] = onward(self.targets_of[number], self.classes_of[number][-1])
        return onward(0, BLANK)


def _frames(classes: Sequence[int]) -> int:
    return len(classes) + sum(a == b for a, b in pairwise(classes))


def grouped(edges: list[tuple[int, int]], key: int) -> tuple[Ints, Ints]:
    """The other ends of the edges in order of end ``key``, and where each state's begin, for ``reduceat``."""
    table = np.array(edges, dtype=np.intp)
    table = table[np.lexsort((table[:, 1 - key], table[:, key]))]
    return table[:, 1 - key], np.searchsorted(table[:, key], np.arange(table[:, key].max() + 1))


class _Net:
    """Points and the words that lead from one to another; a sentence leads from point 0 to point 1."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.arcs: list[list[tuple[str, int]]] = [[], []]  # for each point: words, or "" for none, and where to

    def point(self) -> int:
        self.arcs.append([])
        return len(self.arcs) - 1

    def say(self, source: int, text: str, target: int, where: str) -> None:
        """Words in a row; an arc without a word if ``text`` has none."""
        words = self.vocabulary.spoken(text).split()
        for word in words:
            try:
                self.vocabulary.spell(word)
            except ValueError as error:
                raise GrammarError(f"{where}: {error}") from None
        for word in words[:-1]:
            between = self.point()
            self.arcs[source].append((word, between))
            source = between
        self.arcs[source].append((words[-1] if words else "", target))

    def reach(self, points: Iterable[int]) -> frozenset[int]:
        """These points and all that can be reached from them without a word."""
        reached = set(points)
        waiting = list(reached)
        while waiting:
            for word, target in self.arcs[waiting.pop()]:
                if not word and target not in reached:
                    reached.add(target)
                    waiting.append(target)
        return frozenset(reached)


def _add_rule(net: _Net, rule: str, where: str) -> None:
    begin = net.point()
    net.say(0, "", begin, where)
    groups = [("", begin, 1)]  # the open brackets, and from where to where each leads
    at = begin
    for token in re.findall(r"[()|\[\]]|[^()|\[\]]+", rule):
        if token in "([":
            groups.append((token, at, net.point()))
        elif token == "|":
            net.say(at, "", groups[-1][2], where)
            at = groups[-1][1]
        elif token in _BRACKETS:
            bracket, start, end = groups.pop()
            if bracket != _BRACKETS[token]:
                raise GrammarError(f"{where}: {token!r} has no opening {_BRACKETS[token]!r}; add that, or remove this")
            net.say(at, "", end, where)
            if token == "]":
                net.say(start, "", end, where)
            at = end
        else:
            target = net.point()
            net.say(at, token, target, where)
            at = target
    if len(groups) > 1:
        raise GrammarError(f"{where}: {groups[-1][0]!r} is never closed; add its other bracket")
    net.say(at, "", 1, where)
    if 1 in net.reach([begin]):
        raise GrammarError(f"{where} allows a sentence without a word; remove an [option] or an empty alternative")


def _deterministic(net: _Net, name: str) -> tuple[list[dict[str, int]], set[int]]:
    """The automaton whose places are the sets of points that the same words lead to, and the places that may end."""
    sets = [net.reach([0])]
    places = {sets[0]: 0}
    arcs: list[dict[str, int]] = []
    for points in sets:  # grows on the way
        reached: dict[str, list[int]] = {}
        for point in sorted(points):
            for word, target in net.arcs[point]:
                if word:
                    reached.setdefault(word, []).append(target)
        arcs.append({})
        for word, targets in reached.items():
            onward = net.reach(targets)
            if onward not in places:
                if len(sets) == _MAX_PLACES:
                    raise GrammarError(f"{name} takes more than {_MAX_PLACES} places; use fewer sentences or options")
                places[onward] = len(sets)
                sets.append(onward)
            arcs[-1][word] = places[onward]
    return arcs, {place for points, place in places.items() if 1 in points}


def _minimal(arcs: list[dict[str, int]], accepting: set[int]) -> tuple[list[dict[str, int]], set[int]]:
    """The same automaton with one place for all from which the same words go on; a word leads to a later place."""
    coming = [0] * len(arcs)
    for target in chain.from_iterable(words.values() for words in arcs):
        coming[target] += 1
    order = [0]
    for place in order:  # grows on the way: a place follows when all before it have
        for target in arcs[place].values():
            coming[target] -= 1
            if not coming[target]:
                order.append(target)
    same: dict[int, int] = {}
    known: dict[tuple[bool, frozenset[tuple[str, int]]], int] = {}
    for place in reversed(order):
        onward = frozenset((word, same[target]) for word, target in arcs[place].items())
        same[place] = known.setdefault((place in accepting, onward), place)
    kept = [place for place in order if same[place] == place]
    number = {place: index for index, place in enumerate(kept)}
    renumbered = [{word: number[same[target]] for word, target in arcs[place].items()} for place in kept]
    return renumbered, {number[place] for place in kept if place in accepting}
