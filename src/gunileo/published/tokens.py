"""What a published model's classes stand for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gunileo.published.errors import ImportFault
from gunileo.published.settings import text_of

_BLANK, _END = "<blank>", "<eos>"
UNITS = {5049: "unigram5000_units.txt", 21460: "unigram_units.txt"}  # of Auto-AVSR and VSR-ML; of ViSpeR


def tokens_of(told: Mapping[str, Any], size: int, folder: Path, source: str) -> tuple[str, ...]:
    """The tokens of a model with ``size`` classes: those in its settings, or pieces in a file of ``folder``.

    Raises ``ImportFault`` if there is no list of them, or it is of another length.
    """
    kind = told.get("labels_type", "char" if told else "")
    if kind == "char" or ("char_list" in told and not kind):
        listed = told.get("char_list")
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise ImportFault(f"{source}: its model.json has no char_list; give the one that came with it")
        tokens = tuple(listed)
    elif kind in ("", "unigram5000"):
        tokens = _pieces(size, folder, source)
    else:
        raise ImportFault(f"{source}: labels_type is {kind!r}; char and unigram5000 are known")
    if tokens[:1] != (_BLANK,) or tokens[-1] != _END:
        raise ImportFault(
            f"{source}: its tokens don't begin with {_BLANK} and end with {_END}; give the published list"
        )
    if len(tokens) != size:
        raise ImportFault(f"{source}: {size} classes, but {len(tokens)} tokens; give the list that came with it")
    return tokens


def _pieces(size: int, folder: Path, source: str) -> tuple[str, ...]:
    name = UNITS.get(size)
    if name is None:
        raise ImportFault(f"{source}: {size} classes, which no known list of tokens has; give its model.json beside it")
    path = folder / name
    if not path.is_file():
        raise ImportFault(f"{source}: needs {name} beside it; 'gunileo models --known' has its address")
    lines = text_of(path).splitlines()
    return (_BLANK, *(line.split()[0] for line in lines if line.strip()), _END)
