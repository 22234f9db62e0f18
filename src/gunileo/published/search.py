"""Beam search by decoder, CTC and language model together, a token at a time, all hypotheses at once.

As ESPnet's batched search does it (S. Watanabe et al., "ESPnet", 2018), so that scores are the published ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.decoding.vocabulary import Vocabulary
from gunileo.inference.registry import ModelError, content_of
from gunileo.inference.session import Session
from gunileo.published.prefix_scores import Prefixes, Scores, Tokens, empty, extended, extended_totals

MODEL, SOURCE, DECODER, LANGUAGE, WEIGHTS = "model.onnx", "source.onnx", "decoder.onnx", "lm.onnx", "search.json"
_HOPELESS = 10.0  # how much worse than the best an ended text is that tells that longer ones are, too
_LENGTHS = 3  # that are looked at for that
_BEFORE = 1.5  # candidates of the decoder for which CTC is asked, of each place in the beam

State = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Weighting:
    """Places in the beam, and what each part of a token's score counts; the decoder's counts 1 - ``ctc``."""

    beam: int = 40
    ctc: float = 0.1
    language: float = 0.0
    penalty: float = 0.0  # added for each token
    start: tuple[int, ...] = ()  # tokens with which every text begins after the start token, such as a language's

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Weighting:
        """Read it; ``ModelError`` if the file is damaged."""
        try:
            found = json.loads(content_of(path, "import the model again"))
            read = cls(**{**found, "start": tuple(int(one) for one in found.get("start", ()))})
            if not (isinstance(read.beam, int) and read.beam >= 1 and 0 <= read.ctc <= 1):
                raise ValueError("beam is 1 or more, ctc from 0 to 1")
            return read
        except (ValueError, TypeError, AttributeError) as error:
            raise ModelError(f"{path}: can't be understood ({error}); import the model again") from error


@dataclass(frozen=True)
class Hypothesis:
    """A text that was found: its tokens with start and end, its score, and the sums of the parts before weighting."""

    tokens: tuple[int, ...]
    score: float
    parts: Mapping[str, float]
    classes: tuple[int, ...]  # without start and end


@dataclass(frozen=True)
class Steps:
    """A network that takes a token of each hypothesis at a time (``published.decoder``)."""

    session: Session

    def begin(self) -> State:
        """What it remembers before the first token, of one hypothesis."""
        shape = json.loads(self.session.metadata()["state"])
        layers, heads, each = (int(shape[name]) for name in ("layers", "heads", "each"))
        kept = {name: np.zeros((layers, 1, heads, 0, each), np.float32) for name in ("keys", "values")}
        return {**kept, "hidden": np.zeros((1, 0), np.float32)} if "hidden" in self.session.inputs() else kept

    def __call__(self, tokens: Tokens, parents: Tokens, state: State, source: State) -> tuple[Scores, State]:
        """Log-probabilities [B, C] of what follows, and what it remembers then."""
        inputs = {"tokens": tokens, "parents": parents, **state, **source}
        logp, *after = self.session.run(["log_probabilities", *(f"next_{name}" for name in state)], inputs)
        return np.asarray(logp, np.float64), dict(zip(state, after, strict=True))


class _Live(NamedTuple):
    """The hypotheses that go on, all of one length."""

    tokens: list[tuple[int, ...]]
    scores: Scores  # [B]
    parts: dict[str, Scores]  # [B] each
    prefixes: Prefixes
    states: dict[str, State]
    parents: Tokens  # [B], where each one's state is


@dataclass(frozen=True)
class AttentionSearch:
    """The search of an imported model. Any number of threads may call it, and it pickles as its files' places."""

    source: Session = field(repr=False)
    steps: Mapping[str, Steps] = field(repr=False)  # "decoder", and "lm" if there is one
    weighting: Weighting = field(default_factory=Weighting)

    def __call__(self, memory: NDArray[Any], logp: NDArray[Any]) -> Sequence[Hypothesis]:
        """The best texts, best first, for the encoder's features [T, F] and CTC's log-probabilities [T, C]; as many as
        there are places in the beam at most."""
        keys = ("source_keys", "source_values")
        features = np.ascontiguousarray(memory, np.float32)
        source = dict(zip(keys, self.source.run(list(keys), {"features": features}), strict=True))
        frames = np.asarray(logp, np.float64)
        live, ended = self._begin(frames, source), list[Hypothesis]()
        for step in range(len(frames)):
            live = self._longer(live, frames, source)
            live, done = self._parted(live, last=step == len(frames) - 1)
            ended += done
            if not live.tokens or _hopeless(ended, step):
                break
        return sorted(ended, key=lambda one: -one.score)[: self.weighting.beam]

    def weighted(
        self, beam: int | None = None, ctc: float | None = None, language: float | None = None
    ) -> AttentionSearch:
        """The same with other settings, None as they are; ``ValueError`` if one is out of range, or there is no
        language model to weigh."""
        given = {"beam": beam, "ctc": ctc, "language": language}
        found = replace(self.weighting, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        if found.beam < 1 or not 0 <= found.ctc <= 1 or found.language < 0:
            raise ValueError("a beam is 1 or more, the weight of CTC from 0 to 1, a language model's 0 or more")
        if language and "lm" not in self.steps:
            raise ValueError("has no language model; import it again with --lm FOLDER")
        return replace(self, weighting=found)

    def _used(self) -> dict[str, tuple[Steps, float]]:
        weights = {"decoder": 1 - self.weighting.ctc, "lm": self.weighting.language}
        return {name: (steps, weights[name]) for name, steps in self.steps.items() if weights[name]}

    def _begin(self, frames: Scores, source: State) -> _Live:
        end = frames.shape[1] - 1
        tokens, parents = (end, *self.weighting.start), np.zeros(1, np.int64)
        states = {name: steps.begin() for name, (steps, _) in self._used().items()}
        for token in tokens[:-1]:
            for name, (steps, _) in self._used().items():
                _, states[name] = steps(np.array([token]), parents, states[name], _taken(name, source))
        names = [
            *states,
            *(["ctc"] if self.weighting.ctc else []),
            *(["length_bonus"] if self.weighting.penalty else []),
        ]
        return _Live([tokens], np.zeros(1), {name: np.zeros(1) for name in names}, empty(frames), states, parents)

    def _longer(self, live: _Live, frames: Scores, source: State) -> _Live:
        """The best hypotheses with one token more."""
        w, end, length = self.weighting, frames.shape[1] - 1, len(live.tokens[0]) - 1
        last = np.array([one[-1] for one in live.tokens], np.int64)
        new: dict[str, Scores] = {}
        states = dict(live.states)
        for name, (steps, _) in self._used().items():
            new[name], states[name] = steps(last, live.parents, live.states[name], _taken(name, source))
        candidates = _candidates(new.get("decoder"), len(last), frames.shape[1], int(_BEFORE * w.beam) if w.ctc else 0)
        new = {name: np.take_along_axis(scores, candidates, 1) for name, scores in new.items()}
        total = live.scores[:, None] + w.penalty + sum(new[name] * weight for name, (_, weight) in self._used().items())
        totals = np.zeros_like(total)
        if w.ctc:
            totals = extended_totals(frames, live.prefixes, length, last, candidates, end)
            new["ctc"] = totals - live.prefixes.total[:, None]
            total = total + w.ctc * new["ctc"]
        twice = (candidates[:, :-1] == candidates[:, -1:]).any(1)
        total[twice, -1] = -np.inf
        if w.penalty:
            new["length_bonus"] = np.ones_like(total)
        best = np.argsort(-total, axis=None, kind="stable")[: w.beam]
        rows, columns = np.divmod(best, total.shape[1])
        chosen = candidates[rows, columns]
        return _Live(
            [(*live.tokens[row], int(token)) for row, token in zip(rows, chosen, strict=True)],
            total[rows, columns],
            {name: live.parts[name][rows] + scores[rows, columns] for name, scores in new.items()},
            self._prefixes(live, frames, rows, last, chosen, totals[rows, columns]),
            states,
            rows,
        )

    def _prefixes(
        self, live: _Live, frames: Scores, rows: Tokens, last: Tokens, chosen: Tokens, totals: Scores
    ) -> Prefixes:
        if not self.weighting.ctc:
            return live.prefixes
        parents = Prefixes(live.prefixes.token[:, rows], live.prefixes.blank[:, rows], live.prefixes.total[rows])
        return extended(frames, parents, len(live.tokens[0]) - 1, last[rows], chosen, totals)

    def _parted(self, live: _Live, last: bool) -> tuple[_Live, list[Hypothesis]]:
        """The hypotheses that go on and those that ended; at the ``last`` step all end."""
        end, ended, rows = live.tokens[0][0], [], []
        for row, tokens in enumerate(live.tokens):
            if last or tokens[-1] == end:
                parts = {name: float(scores[row]) for name, scores in live.parts.items()}
                classes = tokens[1 + len(self.weighting.start) :]
                classes = classes[:-1] if classes and classes[-1] == end else classes
                ended.append(Hypothesis((*tokens, end) if last else tokens, float(live.scores[row]), parts, classes))
            else:
                rows.append(row)
        token, blank, total = live.prefixes
        return _Live(
            [live.tokens[row] for row in rows],
            live.scores[rows],
            {name: scores[rows] for name, scores in live.parts.items()},
            Prefixes(token[:, rows], blank[:, rows], total[rows]) if self.weighting.ctc else live.prefixes,
            live.states,
            live.parents[rows],
        ), ended


def _taken(name: str, source: State) -> State:
    """What a network takes beside its own state: the decoder the source."""
    return source if name == "decoder" else {}


def _candidates(decoder: Scores | None, hypotheses: int, tokens: int, count: int) -> Tokens:
    """The tokens [B, n] that each hypothesis may go on with: the decoder's best and the end, the last token, which
    may come twice; all if ``count`` is 0 or enough."""
    if decoder is None or not 0 < count < tokens:
        return np.broadcast_to(np.arange(tokens), (hypotheses, tokens))
    best = np.argpartition(-decoder, count - 1, axis=1)[:, :count]
    return np.concatenate([best, np.full((hypotheses, 1), tokens - 1)], axis=1)


def _hopeless(ended: Sequence[Hypothesis], step: int) -> bool:
    """Whether the best ended texts of the last lengths are all much worse than the best one."""
    if not ended:
        return False
    best = max(one.score for one in ended)
    for length in range(step, step - _LENGTHS, -1):
        scores = [one.score for one in ended if len(one.tokens) == length]
        if not scores or max(scores) - best >= -_HOPELESS:
            return False
    return True


def load(folder: Path, vocabulary: Vocabulary) -> AttentionSearch:
    """The search of the model in a folder. Raises ``ModelError`` if a part of it is missing or damaged."""
    steps = {"decoder": Steps(session_of(folder / DECODER))}
    if (folder / LANGUAGE).is_file():
        steps["lm"] = Steps(session_of(folder / LANGUAGE))
    for one in steps.values():
        if "state" not in one.session.metadata():
            raise ModelError(f"{one.session.path}: no part of an imported model; import the model again")
    weighting = Weighting.read(folder / WEIGHTS)
    if any(not 0 <= token < len(vocabulary) for token in weighting.start):
        raise ModelError(f"{folder / WEIGHTS}: starts with no token of the model's {len(vocabulary)}; import it again")
    return AttentionSearch(session_of(folder / SOURCE), steps, weighting)


def session_of(path: Path) -> Session:
    """A part of an imported model; ``ModelError`` if it is missing or damaged."""
    return Session(content_of(path, "import the model again"), path)
