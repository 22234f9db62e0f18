"""Grammars: what they mean, that they stay small, and what is said about bad ones."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunileo.corpus.grid import SLOTS
from gunileo.decoding import grammar as grammars
from gunileo.decoding.grammar import Grammar, GrammarError
from gunileo.errors import GunileoError


def sentences(grammar: Grammar, place: int = 0) -> Iterator[str]:
    """All ways through the automaton; one that can be gone twice comes twice."""
    if place in grammar.accepting:
        yield ""
    for word, target in grammar.arcs[place].items():
        yield from (f"{word} {rest}".strip() for rest in sentences(grammar, target))


def count(grammar: Grammar) -> int:
    """The number of ways, without walking each."""
    ways = [0] * len(grammar.arcs)
    for place in reversed(range(len(grammar.arcs))):
        ways[place] = (place in grammar.accepting) + sum(ways[target] for target in grammar.arcs[place].values())
    return ways[0]


@pytest.mark.parametrize(
    ("rule", "means"),
    [
        ("turn (on|off) the light", {"turn on the light", "turn off the light"}),
        ("[please] stop", {"stop", "please stop"}),
        ("(please|) stop", {"stop", "please stop"}),
        ("stop (now | right now |)", {"stop", "stop now", "stop right now"}),
        ("a ((b|c) d|[e] f) g", {"a b d g", "a c d g", "a e f g", "a f g"}),
        ("up|down", {"up", "down"}),
        ("a[b]c", {"a c", "a b c"}),  # brackets part words
        ("  Lights   ON, please!  # no comment", {"lights on please"}),
        ("set 5 minutes", {"set 5 minutes"}),
        ("one-way", {"one way"}),
        ("# a note\n\nup\r\ndown\n", {"up", "down"}),
        ("up\nup\n(up|down)", {"up", "down"}),
        ("((((a))))", {"a"}),
        ("(a|a b) (b c|c)", {"a b c", "a c", "a b b c"}),  # two ways to say "a b c"
        ("[a [b]] c", {"c", "a c", "a b c"}),
    ],
)
def test_rules_mean(rule: str, means: set[str]) -> None:
    assert Counter(sentences(Grammar.from_text(rule))) == Counter(means)


def test_a_file_with_a_mark_at_its_beginning_is_read(tmp_path: Path) -> None:
    path = tmp_path / "commands.txt"
    path.write_text("\ufeffturn (on|off) the light\n", "utf-8")
    assert set(sentences(Grammar.from_file(path))) == {"turn on the light", "turn off the light"}


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "ab", "abba"]), min_size=1, max_size=4), min_size=1, max_size=12))
def test_a_list_of_sentences_means_each_once(lists: list[list[str]]) -> None:
    said = [" ".join(words) for words in lists]
    grammar = Grammar.from_sentences(said)
    assert Counter(sentences(grammar)) == Counter(set(said))
    assert len(grammar.index) == len(grammar.words) == len(grammar.first) == len(grammar.entries)


@settings(max_examples=40)
@given(st.recursive(
    st.sampled_from(["a", "b", "c"]).map(lambda word: (word, {word})),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(
            lambda parts: ("(" + "|".join(text for text, _ in parts) + ")", set().union(*(said for _, said in parts)))
        ),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda parts: (
                " ".join(text for text, _ in parts),
                {" ".join(filter(None, row)) for row in itertools.product(*(said for _, said in parts))},
            )
        ),
        inner.map(lambda part: (f"[{part[0]}]", part[1] | {""})),
    ),
    max_leaves=8,
))  # fmt: skip
def test_any_rule_means_what_its_parts_mean(rule: tuple[str, set[str]]) -> None:
    text, said = rule
    if "" in said:
        with pytest.raises(GrammarError, match="line 1 allows a sentence without a word"):
            Grammar.from_text(text)
        text, said = f"x {text}", {f"x {rest}".strip() for rest in said}
    assert Counter(sentences(Grammar.from_text(text))) == Counter(said)


def test_what_is_alike_is_there_once() -> None:
    rule = Grammar.from_text("(turn|switch) (on|off) the (red|blue) light")
    listed = Grammar.from_sentences(sorted(sentences(rule)))
    assert len(listed.words) == len(rule.words) == 8
    assert len(listed.symbols) == len(rule.symbols)
    please = Grammar.from_text("[please] stop")
    assert please.words == ["please", "stop"]  # one "stop", whatever came before


def test_grid_stays_slots_times_words() -> None:
    slots = Grammar.grid()
    assert count(slots) == 64_000
    assert slots.words == [word for slot in SLOTS for word in slot]
    rule = Grammar.from_text(" ".join(f"({'|'.join(slot)})" for slot in SLOTS))
    assert count(rule) == 64_000
    assert sorted(rule.words) == sorted(slots.words)
    assert len(rule.symbols) == len(slots.symbols) < 250
    assert rule.min_frames == slots.min_frames == 20


def test_shortest_sentence_counts_the_blank_between_doubled_letters() -> None:
    assert Grammar.from_sentences(["green", "abcdefg"]).min_frames == 6
    assert Grammar.from_sentences(["a b", "abcd"]).min_frames == 3
    assert Grammar.from_text("[please] (stop|go on)").min_frames == 4


@pytest.mark.parametrize("slots", [[], [[]], [["a", "a"]], [["a b"]], [[""]], [["ä"]], [["A"]]])
def test_bad_slots_are_refused(slots: list[list[str]]) -> None:
    with pytest.raises(GrammarError, match="slot"):
        Grammar(slots)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("up\ndöwn", 2, "character 'ö' has no class"),
        ("press 0", 1, "character '0' has no class"),
        ("a & b", 1, "character '&' has no class"),
        ("turn (on|off the light", 1, r"'\(' is never closed"),
        ("turn [on", 1, r"'\[' is never closed"),
        ("\n# x\nturn on) the light", 3, r"'\)' has no opening '\('"),
        ("turn (on] the light", 1, r"'\]' has no opening '\['"),
        ("turn [on) the light", 1, r"'\)' has no opening '\('"),
        ("up\n()", 2, "allows a sentence without a word"),
        ("[up] [down]", 1, "allows a sentence without a word"),
        ("up|", 1, "allows a sentence without a word"),
        ("...", 1, "allows a sentence without a word"),
    ],
)
def test_bad_rules_are_refused_with_their_line(text: str, line: int, says: str, tmp_path: Path) -> None:
    path = tmp_path / "commands.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(GrammarError, match=says) as told:
        Grammar.from_file(path)
    assert str(told.value).startswith(f"{path}: line {line}")
    assert "\n" not in str(told.value)
    assert isinstance(told.value, GunileoError)


def test_bad_files_are_refused(tmp_path: Path) -> None:
    for content, says in [(b"# nothing\n\n", "holds no sentence"), (b"", "holds no sentence"), (b"\xff\xff", "UTF-8")]:
        path = tmp_path / "commands.txt"
        path.write_bytes(content)
        with pytest.raises(GrammarError, match=says) as told:
            Grammar.from_file(path)
        assert str(path) in str(told.value)
    for missing in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(GrammarError, match=r"can't be read.*give a text file"):
            Grammar.from_file(missing)


def test_bad_lists_are_refused() -> None:
    with pytest.raises(GrammarError, match="holds no sentence"):
        Grammar.from_sentences([])
    with pytest.raises(GrammarError, match="sentence 2 is empty"):
        Grammar.from_sentences(["a", " "])
    with pytest.raises(GrammarError, match=r"sentence 1: .*character '0'"):
        Grammar.from_sentences(["10"])


def test_grammars_that_would_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammars, "_MAX_PLACES", 5000)
    rule = f"{'[(a|b)] ' * 30} a {'(a|b) ' * 16}"  # which of the last 16 words were "a": 2 ** 16 places
    with pytest.raises(GrammarError, match="g takes more than 5000 places; use fewer"):
        Grammar.from_text(rule, "g")
    monkeypatch.setattr(grammars, "_MAX_STATES", 1000)
    draw = random.Random(0)
    many = ["".join(draw.choices("abcdefgh", k=5)) + " " + "".join(draw.choices("abcdefgh", k=5)) for _ in range(99)]
    with pytest.raises(GrammarError, match="the list takes more than 1000 states; use fewer"):
        Grammar.from_sentences(many)
