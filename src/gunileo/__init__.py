"""Lip reading: a video of a talking face goes in, the words come out.

>>> reader = gunileo.load_model()
>>> reader.transcribe("bbaf2n.mpg").text

All that users need is exported here. The packages beneath are internal.
"""

import os
from typing import TYPE_CHECKING, Any

# Nothing leaves this computer: from 1.29 on, ONNX Runtime tells its makers of each model that is loaded, unless this
# is set before it is imported. On Windows ``gunileo.util.onnx`` asks it to stop.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from gunileo.corpus.cache import Cache as Cache
    from gunileo.corpus.finders import Corpus as Corpus
    from gunileo.corpus.finders import Utterance as Utterance
    from gunileo.corpus.finders import find_corpus as find_corpus
    from gunileo.corpus.grid import CLASSES as CLASSES
    from gunileo.corpus.grid import code_to_text as code_to_text
    from gunileo.corpus.prepare import prepare as prepare
    from gunileo.corpus.synthetic import draw_codes as draw_codes
    from gunileo.corpus.synthetic import make_corpus as make_corpus
    from gunileo.decoding.ctc import Decoded as Decoded
    from gunileo.decoding.ctc import nbest as nbest
    from gunileo.decoding.grammar import Grammar as Grammar
    from gunileo.decoding.lexicon import Lexicon as Lexicon
    from gunileo.errors import GunileoError as GunileoError
    from gunileo.evaluation.evaluate import Evaluation as Evaluation
    from gunileo.evaluation.evaluate import evaluate as evaluate
    from gunileo.inference.live import Live as Live
    from gunileo.inference.load import load_model as load_model
    from gunileo.inference.reader import Reader as Reader
    from gunileo.inference.registry import ModelInfo as ModelInfo
    from gunileo.inference.registry import available_models as available_models
    from gunileo.inference.templates import Match as Match
    from gunileo.output.transcript import Alternative as Alternative
    from gunileo.output.transcript import Segment as Segment
    from gunileo.output.transcript import Transcript as Transcript
    from gunileo.output.transcript import Word as Word
    from gunileo.output.writers import write_transcript as write_transcript
    from gunileo.server.app import create_app as create_app
    from gunileo.server.jobs import Limits as Limits
    from gunileo.training.augmentation import Augmentation as Augmentation
    from gunileo.training.config import TrainingConfig as TrainingConfig
    from gunileo.training.dataset import Clips as Clips
    from gunileo.training.dataset import collate as collate
    from gunileo.training.model import LabialCNN as LabialCNN
    from gunileo.training.train import train as train
    from gunileo.vision.crop import contact_sheet as contact_sheet
    from gunileo.vision.faces import find_faces as find_faces
    from gunileo.vision.mouth import read_mouth as read_mouth
    from gunileo.vision.mouth_clip import MouthClip as MouthClip

__version__ = "0.1.0"

_NAMES = {  # what each module gives
    "gunileo.corpus.cache": ("Cache",),
    "gunileo.corpus.finders": ("Corpus", "Utterance", "find_corpus"),
    "gunileo.corpus.grid": ("CLASSES", "code_to_text"),
    "gunileo.corpus.prepare": ("prepare",),
    "gunileo.corpus.synthetic": ("draw_codes", "make_corpus"),
    "gunileo.decoding.ctc": ("Decoded", "nbest"),
    "gunileo.decoding.grammar": ("Grammar",),
    "gunileo.decoding.lexicon": ("Lexicon",),
    "gunileo.errors": ("GunileoError",),
    "gunileo.evaluation.evaluate": ("Evaluation", "evaluate"),
    "gunileo.inference.live": ("Live",),
    "gunileo.inference.load": ("load_model",),
    "gunileo.inference.reader": ("Reader",),
    "gunileo.inference.registry": ("ModelInfo", "available_models"),
    "gunileo.inference.templates": ("Match",),
    "gunileo.output.transcript": ("Alternative", "Segment", "Transcript", "Word"),
    "gunileo.output.writers": ("write_transcript",),
    "gunileo.server.app": ("create_app",),
    "gunileo.server.jobs": ("Limits",),
    "gunileo.training.augmentation": ("Augmentation",),
    "gunileo.training.config": ("TrainingConfig",),
    "gunileo.training.dataset": ("Clips", "collate"),
    "gunileo.training.model": ("LabialCNN",),
    "gunileo.training.train": ("train",),
    "gunileo.vision.faces": ("find_faces",),
    "gunileo.vision.crop": ("contact_sheet",),
    "gunileo.vision.mouth": ("read_mouth",),
    "gunileo.vision.mouth_clip": ("MouthClip",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = [
    "CLASSES",
    "Alternative",
    "Augmentation",
    "Cache",
    "Clips",
    "Corpus",
    "Decoded",
    "Evaluation",
    "Grammar",
    "GunileoError",
    "LabialCNN",
    "Lexicon",
    "Limits",
    "Live",
    "Match",
    "ModelInfo",
    "MouthClip",
    "Reader",
    "Segment",
    "TrainingConfig",
    "Transcript",
    "Utterance",
    "Word",
    "available_models",
    "code_to_text",
    "collate",
    "contact_sheet",
    "create_app",
    "draw_codes",
    "evaluate",
    "find_corpus",
    "find_faces",
    "load_model",
    "make_corpus",
    "nbest",
    "prepare",
    "read_mouth",
    "train",
    "write_transcript",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import gunileo`` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gunileo' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
