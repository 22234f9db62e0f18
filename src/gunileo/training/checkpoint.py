"""A run's checkpoints: written whole, read without running any code that a file may hold."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from gunileo.errors import GunileoError
from gunileo.util.files import write_whole


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that appear whole or not at all; Lightning's are moved from another folder, maybe another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()  # torch's own errors don't tell of a full disk
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getvalue())


def stopped_at(run: Path) -> Path | None:
    """The checkpoint from which a run goes on; None if it was stopped before its first.

    Raises ``GunileoError`` as ``state_of`` does.
    """
    path = run / "last.ckpt"
    if not path.exists():
        return None
    state_of(path)
    return path


def state_of(path: Path) -> dict[str, Any]:
    """The content of a checkpoint: tensors, numbers and texts.

    PyTorch's format is a pickle, which could run code; this reads it by the reader that knows such values and no
    other. Raises ``GunileoError`` if the file is damaged or holds anything else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state["state_dict"], dict):
            raise ValueError("no weights")
    except Exception as error:  # a damaged pickle can raise any
        reason = str(error).partition("\n")[0].partition(". ")[0]
        message = f"{path}: no checkpoint of a run, or damaged ({reason}); train again into a new folder"
        raise GunileoError(message) from error
    return dict(state)
