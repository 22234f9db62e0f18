"""Measure commands taught by few recordings: python scripts/few_recordings.py CLIPS... [--split LIST] [--train]

CLIPS are caches of speakers that the network never saw, with word times; more of one speaker are put together. A
command is a word, or two words, cut out of the sentences at its times: of all words that a speaker says often enough,
one, two and three recordings are drawn as examples, and all others are tested. Prints a row for each speaker, kind of
command and number of recordings: the share recognised (mean over the draws, with the 95 % interval of other draws and
other clips), by the nearest example, and by the network without teaching, of the same words as its grammar; then how
many recordings it was sure of, of those recognised, mistaken, and of a command that was never taught.

The odds of templates.py were learnt from recordings of speaker s3 alone; these rows are marked. --learn prints the odds
as they are learnt from them. --train teaches the network, too, in one draw of each row.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.split import listed, split
from gunileo.decoding.ctc import DecodeError, viterbi
from gunileo.decoding.grammar import Grammar
from gunileo.inference.confidence import logistic
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.registry import DEFAULT
from gunileo.inference.templates import Match, apart, distances, marks, ranked
from gunileo.vision.crop import Crops
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import Array
from gunileo.vision.video import FPS

COUNTS = (1, 2, 3)
RESAMPLED = 50  # times, the clips of each draw
LEARNT_FROM = "s3"  # the speaker whose recordings the odds of templates.py were learnt from


@dataclass(frozen=True)
class Cut:
    """One recording: what is said in it, the clip that it is from, its mouths, and the network's outputs."""

    text: str
    clip: str
    mouths: MouthClip
    features: NDArray[np.float32]
    log_probabilities: NDArray[np.float32]


@dataclass
class Group:
    """The recordings of a speaker's commands of one kind, and how far each is from each."""

    name: str
    cuts: list[Cut]

    def __post_init__(self) -> None:
        self.texts = np.array([cut.text for cut in self.cuts])
        self.between = between([cut.features for cut in self.cuts])


@dataclass
class Draw:
    """Some recordings of each command as examples, by their numbers, and all others to test."""

    commands: list[str]
    examples: NDArray[np.intp]
    tested: list[int]


def main() -> None:
    """Measure all groups, a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("caches", type=Path, nargs="+", metavar="CLIPS", help="caches of speakers never trained on")
    parser.add_argument("--model", default=DEFAULT, help="shipped model's name, or a run's folder")
    parser.add_argument("--split", metavar="LIST", help="list of the clips or speakers that are used; all if left out")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--train", action="store_true", help="teach the network too, in one draw of each row")
    parser.add_argument("--learn", action="store_true", help="print the odds that the chosen-by rows give")
    arguments = parser.parse_args()

    clips = {
        one.id: (cache, one) for cache in map(Cache, arguments.caches) for one in cache.utterances if one.has_crops
    }
    if arguments.split:
        chosen = split([one for _, one in clips.values()], listed(arguments.split))
        clips = {one.id: clips[one.id] for one in chosen}
    groups = [Group(*one) for one in grouped(load_model(arguments.model), list(clips.values()))]
    if arguments.learn:
        learn([group for group in groups if group.name.endswith("*")], arguments.draws)
    elif arguments.train:
        train_rows(groups, arguments.model)
    else:
        rows(groups, arguments.draws)


def grouped(reader: Reader, clips: Sequence[tuple[Cache, CachedUtterance]]) -> Iterator[tuple[str, list[Cut]]]:
    """Name and recordings of each group: by speaker, one word or two; those that the odds were learnt from with a *."""
    for speaker in sorted({one.speaker for _, one in clips}):
        own = [(cache, one) for cache, one in clips if one.speaker == speaker and one.words]
        for count, kind in ((1, "a word"), (2, "two words")):
            found = [cut for cache, one in own for cut in cuts(reader, cache.load(one), one, count)]
            if len([text for text, said in Counter(cut.text for cut in found).items() if said > 1]) > 2:
                yield f"{speaker}, {kind}{'*' if speaker == LEARNT_FROM else ''}", found


def cuts(reader: Reader, mouths: MouthClip, clip: CachedUtterance, count: int) -> Iterator[Cut]:
    """A clip's words, ``count`` at a time and no frame twice, cut out before the network gets them."""
    for first in range(0, len(clip.words) - count + 1, count):
        said = clip.words[first : first + count]
        start, end = round(said[0].start * FPS), round(said[-1].end * FPS)
        part = mouths[start : max(end, start + 3)]
        if len(part):
            text = " ".join(word.word for word in said)
            yield Cut(text, clip.id, part, reader.features(part), reader.log_probabilities(part))


def between(features: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """How far each recording is from each."""
    return np.stack([distances(one, features) for one in features])


def draws(group: Group, recordings: int, count: int) -> Iterator[Draw]:
    """Examples drawn by chance, of all commands that are said once more than that at least; none if under three are."""
    commands = [text for text, said in sorted(Counter(group.texts.tolist()).items()) if said > recordings]
    for seed in range(count if len(commands) > 2 else 0):
        random = np.random.default_rng(seed)
        examples = np.concatenate(
            [random.choice(np.flatnonzero(group.texts == text), recordings, replace=False) for text in commands]
        )
        known, used = set(commands), set(examples.tolist())
        yield Draw(commands, examples, [i for i, text in enumerate(group.texts) if text in known and i not in used])


def match(
    group: Group, between: NDArray[np.float64], examples: NDArray[np.intp], recording: int
) -> tuple[Match, list[float]]:
    """What the examples make of a recording, and the marks that its confidence follows from."""
    texts = group.texts[examples].tolist()
    near = apart(texts, between[np.ix_(examples, examples)])
    first, *others = ranked(texts, between[recording, examples], near)
    return first, list(marks(first.distance, others[0].distance, near))


def rows(groups: Sequence[Group], count: int) -> None:
    """Print the table."""
    head = "| speaker, command | commands | each | tested | recognised | untaught | sure: right | wrong | not taught |"
    print(head + "\n" + "|---" * (head.count("|") - 1) + "|", flush=True)
    for group in groups:
        for recordings in COUNTS:
            drawn = list(draws(group, recordings, count))  # all of the same commands
            if not drawn:
                continue
            grammar = Grammar.from_sentences(drawn[0].commands)
            read = [spelled(cut.log_probabilities, grammar) for cut in group.cuts]
            found, size = [measure(group, draw, read) for draw in drawn], len(drawn[0].commands)
            print(f"| {group.name} | {size} | {recordings} | {len(found[0])} | {summary(found)} |", flush=True)


@dataclass(frozen=True)
class Tested:
    """What became of one recording in one draw."""

    clip: str
    right: bool
    sure: bool
    sure_unknown: bool  # with its command left out of the examples
    untaught: bool  # whether the network was right with the commands as its grammar


def measure(group: Group, draw: Draw, read: Sequence[str]) -> list[Tested]:
    """Test all recordings of a draw that are no examples; ``read`` is what the untaught network makes of each."""
    tested = []
    for recording in draw.tested:
        cut = group.cuts[recording]
        best, _ = match(group, group.between, draw.examples, recording)
        rest = draw.examples[group.texts[draw.examples] != cut.text]
        without, _ = match(group, group.between, rest, recording)
        right = best.text == cut.text
        tested.append(Tested(cut.clip, right, best.sure, without.sure, read[recording] == cut.text))
    return tested


def spelled(log_probabilities: NDArray[np.float32], grammar: Grammar) -> str:
    """What the network reads by a grammar; nothing if the recording is too short for it."""
    try:
        return viterbi(log_probabilities, grammar).text
    except DecodeError:
        return ""


def interval(found: Sequence[Sequence[Tested]]) -> tuple[float, float]:
    """What 95 % of all sessions would give: other examples, and other clips of the speaker to test, by bootstrap."""
    random, rates = np.random.default_rng(0), []
    for draw in found:
        clips = sorted({one.clip for one in draw})
        parts = np.array([sum(one.right for one in draw if one.clip == clip) for clip in clips])
        wholes = np.array([sum(one.clip == clip for one in draw) for clip in clips])
        chosen = random.integers(len(clips), size=(RESAMPLED, len(clips)))
        rates.append(parts[chosen].sum(axis=1) / wholes[chosen].sum(axis=1))
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)


def summary(found: Sequence[Sequence[Tested]]) -> str:
    """The cells of a row."""
    tested = [one for draw in found for one in draw]
    low, high = interval(found)

    def share(of: Sequence[bool]) -> str:
        return f"{np.mean(of):.0%}" if len(of) else "-"

    right = f"{np.mean([one.right for one in tested]):.1%} ({100 * low:.0f} to {100 * high:.0f})"
    untaught = f"{np.mean([one.untaught for one in tested]):.1%}"
    sure = [share([one.sure for one in tested if one.right == kind]) for kind in (True, False)]
    return " | ".join([right, untaught, *sure, share([one.sure_unknown for one in tested])])


def learn(groups: Sequence[Group], count: int) -> None:
    """Print the odds of templates.py: a logistic model of whether the nearest command is the one that was said."""
    features, right, weights, near = [], [], [], []
    for group in groups:
        found = []
        for recordings in COUNTS:
            for draw in draws(group, recordings, count):
                for recording in draw.tested:
                    rest = draw.examples[group.texts[draw.examples] != group.texts[recording]]
                    for examples in (draw.examples, rest):
                        best, told = match(group, group.between, examples, recording)
                        found.append((told[1:], best.text == group.texts[recording]))
                        near.append(best.distance / told[1])
        features += [told for told, _ in found]
        right += [ok for _, ok in found]
        weights += [1000 / len(found)] * len(found)
    odds = logistic(np.array(features), np.array(right, float), np.array(weights))
    print(f"odds {np.round(odds, 2).tolist()}, apart {np.mean(near):.2f}")


def train_rows(groups: Sequence[Group], model: str) -> None:
    """Print a row each for the network taught as ``gunileo teach --train`` does, without held-back recordings."""
    head = "| speaker, command | recordings of each | tested | examples | examples, trained | spelled, trained |"
    print(head + "\n" + "|---" * (head.count("|") - 1) + "|", flush=True)
    for group in groups:
        for recordings in COUNTS:
            for draw in draws(group, recordings, 1):
                reader = trained(group, draw, model)
                encoded = [reader.features(cut.mouths) for cut in group.cuts]
                grammar = Grammar.from_sentences(draw.commands)
                after = between(encoded)
                score = {"before": 0, "after": 0, "spelled": 0}
                for recording in draw.tested:
                    cut = group.cuts[recording]
                    score["before"] += match(group, group.between, draw.examples, recording)[0].text == cut.text
                    score["after"] += match(group, after, draw.examples, recording)[0].text == cut.text
                    score["spelled"] += spelled(reader.log_probabilities(cut.mouths), grammar) == cut.text
                cells = " | ".join(f"{right / len(draw.tested):.1%}" for right in score.values())
                print(f"| {group.name} | {recordings} | {len(draw.tested)} | {cells} |", flush=True)


class _Held(Cache):
    """Recordings as a cache, for training; an utterance's id is its number."""

    def __init__(self, cuts: Sequence[Cut]) -> None:
        self.path = Path()
        self.cuts = cuts

    def crops(self, utterance: CachedUtterance) -> Crops:
        return self.cuts[int(utterance.id)].mouths.crops

    def measures(self, utterance: CachedUtterance) -> Array:
        return self.cuts[int(utterance.id)].mouths.measures


def trained(group: Group, draw: Draw, model: str) -> Reader:
    """The network after training on a draw's examples."""
    from gunileo.training.fine_tune import teaching
    from gunileo.training.train import train

    cuts = group.cuts
    taught = [CachedUtterance(str(i), "", len(cuts[i].mouths), cuts[i].text, (), f"{i}.png") for i in draw.examples]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        settings = teaching(model, len(taught))
        return load_model(train(_Held(cuts), taught, taught[:1], Path(folder) / "run", settings).parent)


if __name__ == "__main__":
    main()
