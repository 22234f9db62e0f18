"""Teaching a model the user's own commands, from takes of them: clips with a text beside each.

A taught model is a folder of its own in ``registry.home()``; ``load_model`` finds it by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gunileo import registry
from gunileo.errors import GunileoError
from gunileo.mouth import Regions
from gunileo.registry import TaughtModel

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, and of how much


class TakeError(GunileoError):
    """A take that nothing can be learnt from."""


@dataclass(frozen=True)
class Lesson:
    """What came of teaching: the model, and each take that was left out, with the reason."""

    model: TaughtModel
    skipped: list[tuple[str, str]]


def takes_folder(name: str) -> Path:
    """Where a taught model's takes are recorded to, by those that record: a folder that ``teach`` understands.

    Raises ``TakeError`` if the name can't be a model's.
    """
    return registry.home() / "takes" / checked_name(name)


def checked_name(name: str) -> str:
    """The same name; ``TakeError`` if it can't be a taught model's, as a shipped one has it or no folder can."""
    raise NotImplementedError


def check_take(path: Path | str) -> Regions:
    """The mouth regions of a take, uint8 [T, 100, 150], from where the mouth begins to move to where it rests again.

    Raises ``VideoError`` if the file can't be decoded, ``MouthError`` if no face can be followed, ``TakeError`` if
    the mouth hardly moves, or moves for longer than ten seconds; each names the file and says what to do.
    """
    raise NotImplementedError


def teach(
    takes: Path | str,
    name: str,
    base: str = registry.DEFAULT,
    train: bool = False,
    progress: Progress | None = None,
) -> Lesson:
    """Teach a model the commands of a folder of clips with a ``.txt`` beside each.

    Each take is an example from then on (seconds); with ``train`` the network learns from them, too (minutes; needs
    the ``train`` extra). An earlier model of this name is replaced once the new one is whole. A take that can't be
    used is left out and reported. What ``progress`` raises stops it, and leaves the earlier model as it was.

    Raises ``TakeError`` if no take can be used or the name can't be a model's, ``CorpusError`` if there are no clips,
    ``ModelError`` if there is no such base.
    """
    raise NotImplementedError


def forget(name: str) -> None:
    """Remove a taught model and the takes in its ``takes_folder``; ``ModelError`` if there is none of that name."""
    raise NotImplementedError
