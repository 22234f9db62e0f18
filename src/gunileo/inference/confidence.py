"""How far a reading can be trusted: confidences that come true, and 'not sure' where nothing could be read.

A decoder says how sure its choice is, *given* that a face it knows said what it can spell. Whether that
holds shows elsewhere: how likely all that it can spell is, and how undecided the network is while the words are
said. A logistic model of both, learnt from clips held back from training and from negatives made of these, tells a
reading from a guess; two more turn a decoder's confidence into the share that is right. numpy alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gunileo.decoding.ctc import FPS, Decoded, Floats, log_likelihood
from gunileo.decoding.grammar import Grammar
from gunileo.decoding.vocabulary import GRID, Vocabulary
from gunileo.util.files import write_whole
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import scaled

FALSE_REJECTION = 0.01  # share of good clips that may come out as not sure, rounded up to a whole clip
# Share of the words in sure readings that have to be right, if that takes more rejections. With 0.92, a quarter of the
# mouths of unseen speakers were sure when upside down.
TRUSTED = 0.94
FEWEST = 20  # good clips to learn from; of fewer, a threshold would be luck
_GOOD = 0.8  # share of the words that are right where a clip was read well: five of GRID's six
_FLOOR = 0.01  # nats, under which a feature is as good as it gets
_LEAST = -1e9  # stands for the logarithm of 0 in one frame
_L2 = 1.0  # penalty of a weight for features of unit variance, as in most statistics packages
_STEPS, _SETTLED = 100, 1e-9  # of Newton's; a dozen do
_MESH_NOISE = 0.2  # pixels, standard deviation of what the mesh adds to it
_NOISE = 2.0  # grey levels, standard deviation: what a camera adds to a face that holds still

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What turns a decoder's confidences into calibrated ones: three logistic models and a threshold.

    Each model is a constant and two weights: ``reading`` of the two ``confidence_features``, which gives a score, the
    log-odds that the clip can be read at all; ``word`` and ``sentence`` of the decoder's log-odds times the chance of
    that, and of ln(1 + e^score). Of a clip that can't be read both are next to nothing, however sure the decoder is.
    """

    reading: tuple[float, ...]
    word: tuple[float, ...]
    sentence: tuple[float, ...]
    threshold: float  # of the reading's score: a lower one is not sure
    good: int  # clips, read well, that it was learnt from

    def score(self, features: Floats) -> float:
        """Log-odds that a clip with these ``confidence_features`` is one that can be read."""
        return float(self.reading[0] + features @ np.array(self.reading[1:]))

    def judge(self, decoded: Decoded, features: Floats) -> Decoded:
        """The same words and confidences, ``sure`` or not; no words are never sure."""
        return replace(decoded, sure=bool(decoded.words) and self.score(features) >= self.threshold)

    def apply(self, decoded: Decoded, features: Floats) -> Decoded:
        """The same words with calibrated confidences, ``sure`` or not; without words confidence is 0."""
        score = self.score(features)
        words = tuple(
            replace(word, confidence=_confidence(self.word, word.confidence, score)) for word in decoded.words
        )
        confidence = _confidence(self.sentence, decoded.confidence, score) if words else 0.0
        return replace(self.judge(decoded, features), words=words, confidence=confidence)


Calibrations = dict[str, Calibration]  # by the decoder's name; a decoder without one keeps its own confidences


def to_json(calibrations: Calibrations) -> str:
    """One line of JSON, as a model file carries it."""
    return json.dumps({how: asdict(calibration) for how, calibration in calibrations.items()})


def from_json(text: str) -> Calibrations:
    """The reverse of ``to_json``; ``ValueError`` if ``text`` is anything else."""
    try:
        return {how: _calibration(entry) for how, entry in json.loads(text).items()}
    except (TypeError, AttributeError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError(f"no calibration: {error}") from error


def calibration_file(path: Path) -> Path:
    """Where the calibration of a model's file is that was learnt for it later, beside it."""
    return path.with_suffix(".calibration.json")


def store_calibrations(path: Path, checksum: str, calibrations: Calibrations) -> None:
    """Keep calibrations beside a model's file, of this ``checksum``; ``FileError`` if they can't be written."""
    write_whole(calibration_file(path), json.dumps({"sha256": checksum, "calibration": to_json(calibrations)}) + "\n")


def stored_calibrations(path: Path, checksum: str) -> Calibrations:
    """What ``store_calibrations`` kept for a model's file; none if it is of another file's content.

    Raises ``ValueError`` if it is damaged.
    """
    try:
        entry = json.loads(calibration_file(path).read_text(encoding="utf-8"))
        return from_json(entry["calibration"]) if entry["sha256"] == checksum else {}
    except FileNotFoundError:
        return {}
    except (OSError, TypeError, KeyError) as error:
        raise ValueError(f"{calibration_file(path).name}: {error}") from error


def _calibration(entry: dict[str, object]) -> Calibration:
    if set(entry) != {field.name for field in fields(Calibration)}:
        raise ValueError("a calibration's fields are others")
    names = ("reading", "word", "sentence")
    models = {name: tuple(map(float, entry[name])) for name in names}  # type: ignore[call-overload]
    threshold, good = float(str(entry["threshold"])), int(str(entry["good"]))
    if any(len(model) != 3 for model in models.values()):
        raise ValueError("a calibration's models have other sizes")
    if not all(map(math.isfinite, [threshold, *models["reading"], *models["word"], *models["sentence"]])):
        raise ValueError("a calibration is not a number")
    return Calibration(models["reading"], models["word"], models["sentence"], threshold, good)


def confidence_features(
    logp: Floats, decoded: Decoded, grammar: Grammar | None = None, vocabulary: Vocabulary = GRID
) -> Array:
    """Two features of how badly log-probabilities [T, C] go with what was ``decoded`` from them, lower is better.

    The first is the logarithm of the negative log-likelihood, in nats for each character of the text, of all sentences
    of ``grammar`` together, or, without one, of the text in all its paths. The second is the logarithm of the entropy,
    in nats, of the mean frame from the first word's start to the last one's end. Neither changes with silence before
    and after.
    Zeros if no words were decoded. ``DecodeError`` if the frames are too few for the grammar, or for the text.
    """
    if not decoded.words:
        return np.zeros(2)
    start, end = (round(FPS * time) for time in (decoded.words[0].start, decoded.words[-1].end))
    frames = _finite(logp[start : max(end, start + 1)])
    entropy = float(-(np.exp(frames) * frames).sum(axis=1).mean())
    likelihood = decoded.likelihood if grammar else None
    if likelihood is None:
        likelihood = log_likelihood(_finite(logp), grammar or decoded.sentence(vocabulary))
    nats = max(0.0, -likelihood) / len(decoded.text)
    return np.log(_FLOOR + np.array([nats, entropy]))


def _finite(logp: Floats) -> Floats:
    return np.maximum(np.asarray(logp, np.float64), _LEAST)


@dataclass(frozen=True)
class Sample:
    """One decoded clip to learn from; in a negative nothing is right, as nothing was said that can be read."""

    features: Array  # confidence_features
    confidence: float  # the decoder's own, of the sentence
    right: bool  # the whole sentence
    words: tuple[tuple[float, bool], ...]  # the decoder's own confidence of each word, and whether it is right
    said: int  # words; none in a negative
    kind: str  # "clip", "appearance" (the clip in another: still read) or "negative"

    @property
    def good(self) -> bool:
        """An unchanged clip that was read well."""
        return self.kind == "clip" and read_well([right for _, right in self.words], self.said)


def read_well(right: Sequence[bool], said: int) -> bool:
    """Whether four fifths of the words ``said``, and of those read, ``right`` or not, are right: five of GRID's six."""
    return bool(right) and sum(right) >= _GOOD * max(said, len(right))


def limit(scores: Sequence[float]) -> float:
    """The score under which ``FALSE_REJECTION`` of these lie, rounded up to a whole one; of one alone, itself."""
    return sorted(scores)[min(len(scores) - 1, math.ceil(FALSE_REJECTION * len(scores)))]


def trusted(scored: Sequence[tuple[Sample, float]]) -> float:
    """The lowest score from which on ``TRUSTED`` of all clips' words are right; if there is none, one over all."""
    threshold, right, words = max(score for _, score in scored) + 1, 0, 0
    for one, score in sorted(scored, key=lambda pair: -pair[1]):
        right, words = right + sum(ok for _, ok in one.words), words + max(one.said, len(one.words))
        if right >= TRUSTED * words:
            threshold = score
    return threshold


def fit(samples: Sequence[Sample]) -> Calibration | None:
    """Learn a calibration; None with fewer than ``FEWEST`` good clips, or no negatives, to learn from.

    Reading or not is learnt from the clips, read well or not, and the negatives; confidences from all clips, clips
    with changed appearance and negatives. The negatives weigh as much together as the clips. The threshold is the score
    under which ``FALSE_REJECTION`` of the good clips lie, or the one over which ``TRUSTED`` of the words are right, if
    that is higher.
    """
    samples = [one for one in samples if one.words]  # an answer without words is never sure, with no model
    good = [one for one in samples if one.good]
    negatives = [one for one in samples if one.kind == "negative"]
    if len(good) < FEWEST or not negatives:
        return None
    told = [one for one in samples if one.kind != "appearance"]
    reading = logistic(
        np.stack([one.features for one in told]), np.array([one.good for one in told], float), _weights(told)
    )
    scores = [float(reading[0] + one.features @ reading[1:]) for one in samples]
    weights = _weights(samples)
    word = logistic(
        np.array([_odds(p, score) for one, score in zip(samples, scores, strict=True) for p, _ in one.words]),
        np.array([right for one in samples for _, right in one.words], float),
        np.repeat(weights, [len(one.words) for one in samples]),
    )
    sentence = logistic(
        np.array([_odds(one.confidence, score) for one, score in zip(samples, scores, strict=True)]),
        np.array([one.right for one in samples], float),
        weights,
    )
    scored = [(one, score) for one, score in zip(samples, scores, strict=True) if one.kind == "clip"]
    threshold = max(limit([score for one, score in scored if one.good]), trusted(scored))
    return Calibration(_plain(reading), _plain(word), _plain(sentence), threshold, len(good))


def _plain(model: Array) -> tuple[float, ...]:
    return tuple(map(float, model))


def _weights(samples: Sequence[Sample]) -> Array:
    """One for every clip, and for all negatives together as much as for the unchanged clips."""
    clips, negatives = (sum(one.kind == kind for one in samples) for kind in ("clip", "negative"))
    return np.array([clips / negatives if one.kind == "negative" else 1.0 for one in samples])


def logistic(features: Array, right: Array, weights: Array, l2: float = _L2) -> Array:
    """Weights [1 + F], the constant first, of the logistic model of ``right`` [N] by ``features`` [N, F].

    Maximum likelihood with ``weights`` [N] of the rows and a penalty ``l2`` / 2 on each squared weight, measured on
    features of unit variance, but not on the constant; by Newton's steps (iteratively reweighted least squares:
    C. Bishop, Pattern Recognition and Machine Learning, 2006, 4.3.3), halved while they lead uphill.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-12
    rows = np.column_stack([np.ones(len(features)), (features - mean) / spread])
    penalty = np.full(rows.shape[1], l2)
    penalty[0] = 1e-6  # so that rows that are all right have a finite constant

    def loss(model: Array) -> float:
        scores = rows @ model
        return float(weights @ (np.logaddexp(0, scores) - right * scores) + penalty @ model**2 / 2)

    model = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        chance = _sigmoid(rows @ model)
        slope = rows.T @ (weights * (right - chance)) - penalty * model
        bend = rows.T @ (rows * (weights * chance * (1 - chance))[:, None]) + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        while loss(model + step) > loss(model) and np.abs(step).max() > _SETTLED:
            step = step / 2
        model = model + step
        if np.abs(step).max() < _SETTLED:
            break
    slopes = model[1:] / spread
    return np.concatenate([[model[0] - slopes @ mean], slopes])


def _odds(confidence: float, score: float) -> list[float]:
    """What ``word`` and ``sentence`` weigh; the decoder's odds are at most ten thousand to one."""
    odds = math.log((confidence + 1e-4) / (1 - confidence + 1e-4))
    return [float(_sigmoid(np.array(score))) * odds, float(np.logaddexp(0, score))]


def _confidence(model: Sequence[float], confidence: float, score: float) -> float:
    value = model[0] + sum(a * b for a, b in zip(model[1:], _odds(confidence, score), strict=True))
    return float(_sigmoid(np.array(value)))


def _sigmoid(x: Array) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def backwards(clip: MouthClip) -> MouthClip:
    """A clip played backwards."""
    return clip[::-1]


def still(clip: MouthClip) -> MouthClip:
    """The middle frame held as long as the clip, with a camera's noise."""
    random, middle = np.random.default_rng(0), np.full(len(clip), len(clip) // 2)
    held = clip[middle]
    pixels = np.rint(held.crops + random.normal(0, _NOISE, held.crops.shape))
    measures = held.measures + random.normal(0, _MESH_NOISE, held.measures.shape)
    views = held.views
    if views is not None:
        views = np.clip(np.rint(views + random.normal(0, _NOISE, views.shape)), 0, 255).astype(np.uint8)
    return MouthClip(np.asarray(np.clip(pixels, 0, 255), np.uint8), measures.astype(np.float32), views)


def silent(clip: MouthClip) -> MouthClip:
    """The first third of a second, in which GRID's speakers are silent yet, to and fro as long as the clip."""
    there = np.arange(min(8, len(clip)))
    return clip[np.resize(np.concatenate([there, there[::-1]]), len(clip))]


def shuffled(clip: MouthClip) -> MouthClip:
    """The frames in any order."""
    return clip[np.random.default_rng(0).permutation(len(clip))]


def reordered(clip: MouthClip) -> MouthClip:
    """Six pieces of the clip in another order: a face that is known, saying no sentence of the grammar."""
    pieces = np.array_split(np.arange(len(clip)), 6)
    return clip[np.concatenate([pieces[i] for i in (3, 0, 5, 2, 4, 1)])]


def upside_down(clip: MouthClip) -> MouthClip:
    """A mouth standing on its head."""
    views = None if clip.views is None else clip.views[:, ::-1]
    return MouthClip(clip.crops[:, ::-1, :], scaled(clip.measures, 1.0, -1.0), views)


def wider(clip: MouthClip) -> MouthClip:
    """A wider and lower mouth in a darker light from the right: a face that was never seen says the same."""
    return _changed(clip, 0.85, 1.2, light=0.5, gamma=1.5)


def taller(clip: MouthClip) -> MouthClip:
    """A taller and narrower mouth in a brighter light from the left."""
    return _changed(clip, 1.25, 0.85, light=-0.4, gamma=0.6)


def _changed(clip: MouthClip, height: float, width: float, light: float, gamma: float) -> MouthClip:
    """Stretched about the centre, by the nearest pixel; ``light`` is its change from the centre to the right edge."""
    views = None if clip.views is None else _lit(clip.views, height, width, light, gamma)
    return MouthClip(_lit(clip.crops, height, width, light, gamma), scaled(clip.measures, width, height), views)


def _lit(pictures: NDArray[np.uint8], height: float, width: float, light: float, gamma: float) -> NDArray[np.uint8]:
    """Pictures [T, H, W] or [T, H, W, 3], changed as ``_changed`` says."""
    rows, columns = (
        np.clip(np.rint((np.arange(size) - size / 2) / stretch + size / 2), 0, size - 1).astype(int)
        for size, stretch in zip(pictures.shape[1:3], (height, width), strict=True)
    )
    shades = (pictures[:, rows][:, :, columns] / np.float32(255)) ** gamma
    across = 1 + light * np.linspace(-1, 1, pictures.shape[2], dtype=np.float32)
    lit = 255 * shades * across.reshape(-1, *(1,) * (pictures.ndim - 3))
    return np.asarray(np.clip(np.rint(lit), 0, 255), np.uint8)


NEGATIVES: dict[str, Callable[[MouthClip], MouthClip]] = {  # learnt as no reading
    "backwards": backwards,
    "still face": still,
    "frames shuffled": shuffled,
    "pieces reordered": reordered,
}
OTHER_NEGATIVES: dict[str, Callable[[MouthClip], MouthClip]] = {  # no reading either, and never learnt from: for tests
    "silent face": silent,
    "upside down": upside_down,
}
APPEARANCES: dict[str, Callable[[MouthClip], MouthClip]] = {
    "wider mouth": wider,
    "taller mouth": taller,
}  # read as they are
