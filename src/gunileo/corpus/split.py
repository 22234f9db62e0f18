"""Parts of a corpus: for training, for validation, for a test; by published lists or by hashes of names."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol, TypeVar

from gunileo.corpus.labels import CorpusError, read_lines
from gunileo.corpus.walk import plain

_HELD_FROM = 5  # clips of a speaker, of whom some are held back to validate on


def read_split(path: Path | str) -> list[str]:
    """What a split list names, ids of utterances or speakers: one a line, blank lines and ``#`` comments left out.

    Raises ``CorpusError`` if the file can't be read or lists nothing.
    """
    names = [plain(line.partition("#")[0]) for line in read_lines(path)]
    names = [name for name in names if name]
    if not names:
        raise CorpusError(f"{path} lists no utterance; write one id or speaker on each line, such as s1/bbaf2n or s1")
    return names


class _Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def speaker(self) -> str: ...


_Clip = TypeVar("_Clip", bound=_Named)  # an utterance of a corpus or of a cache


def split(utterances: Sequence[_Clip], names: Iterable[str]) -> list[_Clip]:
    """The utterances that a list names, by id or all of a speaker's, in their own order.

    A published list covers all speakers, so names that aren't here are passed over;
    ``CorpusError`` if none is.
    """
    wanted = {plain(name) for name in names}
    chosen = [utterance for utterance in utterances if wanted & {plain(utterance.id), plain(utterance.speaker)}]
    if not chosen:
        here = utterances[0].id if utterances else "nothing"
        listed = f"none of the {len(wanted)} listed utterances or speakers is here"
        raise CorpusError(f"{listed}; check the list, ids here look like {here}")
    return chosen


def split_speakers(utterances: Sequence[_Clip], speakers: Iterable[str]) -> list[_Clip]:
    """The utterances of some speakers; ``CorpusError`` naming a speaker who isn't here."""
    wanted = set(speakers)
    here = {utterance.speaker for utterance in utterances}
    if wanted - here:
        raise CorpusError(f"speaker {min(wanted - here)!r} isn't here; there are {', '.join(sorted(here))}")
    return [utterance for utterance in utterances if utterance.speaker in wanted]


def validation_part(utterances: Sequence[_Clip], count: int, seed: int = 0) -> list[_Clip]:
    """``count`` utterances chosen by a hash of their ids, in their own order.

    Chosen are those whose sha256 of the id (of ``seed:id`` for another seed than 0) sorts first, so
    that the choice depends on no order and changes little as a corpus grows. ``CorpusError`` if
    there are fewer than ``count``.
    """
    if not 0 < count <= len(utterances):
        raise CorpusError(f"can't choose {count} of {len(utterances)} utterances to validate on; choose some of them")

    def key(utterance: _Clip) -> str:
        name = utterance.id if seed == 0 else f"{seed}:{utterance.id}"
        return hashlib.sha256(name.encode()).hexdigest()

    chosen = {utterance.id for utterance in sorted(utterances, key=key)[:count]}
    return [utterance for utterance in utterances if utterance.id in chosen]


def _tenth(utterances: Sequence[_Clip], seen: Callable[[_Clip], bool]) -> list[_Clip]:
    """A tenth, rounded up, of each speaker's clips, so that one with few is tested beside one with many.

    Who has fewer than five is trained on alone, but if nobody has more. Clips that were ``seen`` and those that were
    not are told apart in this, so that there are some of each.
    """
    own = defaultdict[tuple[bool, str], list[_Clip]](list)
    for utterance in utterances:
        own[seen(utterance), utterance.speaker].append(utterance)
    held = set[str]()
    for kind in (True, False):
        speakers = [clips for (is_seen, _), clips in own.items() if is_seen == kind]
        parts = [clips for clips in speakers if len(clips) >= _HELD_FROM] or [list(chain(*speakers))]
        held |= {clip.id for clips in parts if clips for clip in validation_part(clips, -(-len(clips) // 10))}
    return [utterance for utterance in utterances if utterance.id in held]


def training_parts(
    utterances: Sequence[_Clip],
    validation: Iterable[str] | None = None,
    only: Iterable[str] | None = None,
    leave_out: Iterable[str] = (),
    speakers: Iterable[str] | None = None,
    seen: Callable[[_Clip], bool] = lambda _: True,
) -> tuple[list[_Clip], list[_Clip]]:
    """What to train on and what to validate on; the two never share an utterance.

    ``validation`` names the validation part, else it is a tenth of the rest by hash of the id, of each speaker who has
    five clips or more, and of the clips that were ``seen`` as of the others. Trained on is what is left of ``speakers``
    (all if None) and of the utterances named by ``only`` (all if None). Utterances named by ``leave_out``, a test list
    say, are in neither, and need not be here. Lists name ids or speakers, as for ``split``. ``CorpusError`` if another
    list names nothing that is here.
    """
    left = set(leave_out)
    here = [utterance for utterance in utterances if not left & {utterance.id, utterance.speaker}]
    training = split(here, only) if only is not None else here
    training = split_speakers(training, speakers) if speakers is not None else training
    held = split(here, validation) if validation is not None else _tenth(training, seen)
    names = {utterance.id for utterance in held}
    return [utterance for utterance in training if utterance.id not in names], held
