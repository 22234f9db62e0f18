"""The reader of a model and its way to decode, as ``--model``, ``--decode`` and the like ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gunileo.cli.options import Decode, Device

if TYPE_CHECKING:
    from gunileo.decoding.ctc import How
    from gunileo.decoding.grammar import Grammar as Rules
    from gunileo.inference.reader import Reader

Weights = tuple[int | None, float | None, float | None]  # as ``Reader.weighted`` takes them
AS_PUBLISHED: Weights = (None, None, None)


def loaded(model: str, device: Device = Device.auto, weights: Weights = AS_PUBLISHED) -> Reader:
    """The reader of a model, with these weights. Raises what ``load_model`` and ``Reader.weighted`` raise."""
    from gunileo.inference.load import load_model

    reader = load_model(model, device.value)
    return reader if weights == AS_PUBLISHED else reader.weighted(*weights)


def searched(decode: Decode | None, weights: Weights) -> Decode | None:
    """The way to decode: a search if weights of one are given. Raises ``typer.BadParameter`` for another way."""
    if weights == AS_PUBLISHED:
        return decode
    if decode not in (None, Decode.beam):
        raise typer.BadParameter(
            f"--beam, --ctc-weight and --lm-weight need --decode beam, not {decode}; leave one out"
        )
    return Decode.beam


def way(
    decode: Decode | None, grammar: Path | None, lexicon: Path | None, lm: Path | None, model: str
) -> tuple[How | None, Rules | None]:
    """The options of decoding as the arguments ``decode`` and ``grammar`` of a reader's methods.

    Words are spelled in the tokens of the ``model``, which is loaded if there are any. Raises ``typer.BadParameter``
    if options don't go together, ``GrammarError`` or ``LexiconError`` if a file can't be used, and what
    ``load_model`` raises.
    """
    from gunileo.decoding.grammar import Grammar
    from gunileo.decoding.lexicon import Lexicon
    from gunileo.inference.load import load_model

    how = decode or (Decode.lexicon if lexicon else Decode.grammar if grammar else None)
    if (lexicon is None) == (how == Decode.lexicon):
        raise typer.BadParameter(
            "--lexicon FILE and --decode lexicon need each other; add one, or leave the other out",
            param_hint="--lexicon",
        )
    if grammar and how != Decode.grammar:
        raise typer.BadParameter(f"--decode {decode} takes no grammar; leave one of them out", param_hint="--grammar")
    if lm and not lexicon:
        raise typer.BadParameter("a language model needs its words; add --lexicon FILE", param_hint="--lm")
    if lexicon:
        return Lexicon.from_file(lexicon, lm, load_model(model).vocabulary).decode, None
    return how and how.value, Grammar.from_file(grammar, load_model(model).vocabulary) if grammar else None
