"""Lip reading: a video of a talking face goes in, the words come out.

>>> reader = gunileo.load_model()
>>> reader.transcribe("bbaf2n.mpg").text
"""

import os
from typing import TYPE_CHECKING, Any

# Nothing leaves this computer: from 1.29 on, ONNX Runtime tells its makers of each model that is loaded, unless this
# is set before it is imported. On Windows ``engine`` asks it to stop.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from gunileo.engine import Reader as Reader
    from gunileo.engine import load_model as load_model
    from gunileo.errors import GunileoError as GunileoError
    from gunileo.live import Live as Live
    from gunileo.registry import ModelInfo as ModelInfo
    from gunileo.registry import available_models as available_models
    from gunileo.transcript import Sentence as Sentence
    from gunileo.transcript import Transcript as Transcript
    from gunileo.transcript import Word as Word

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(("Reader", "load_model"), "gunileo.engine"),
    **dict.fromkeys(("ModelInfo", "available_models"), "gunileo.registry"),
    "GunileoError": "gunileo.errors",
    "Live": "gunileo.live",
    **dict.fromkeys(("Sentence", "Transcript", "Word"), "gunileo.transcript"),
}
__all__ = [
    "GunileoError",
    "Live",
    "ModelInfo",
    "Reader",
    "Sentence",
    "Transcript",
    "Word",
    "available_models",
    "load_model",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import gunileo`` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gunileo' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
