"""Words of a list in any order, and how likely they follow each other: flashlight's beam search.

For corpora without a grammar. J. Kahn et al., "Flashlight: Enabling innovation in tools for machine learning", ICML
2022; language models as KenLM reads them: K. Heafield, "KenLM: Faster and smaller language model queries", WMT 2011.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gunileo.corpus.grid import BLANK
from gunileo.corpus.labels import CorpusError, read_lines
from gunileo.decoding.ctc import Decoded, DecodeError, Floats, align
from gunileo.decoding.vocabulary import GRID, Vocabulary
from gunileo.errors import GunileoError
from gunileo.util.quiet import quiet

_WIDTH = 200  # beginnings kept after each frame
_LEAST = -100.0  # lowest log-probability of one frame that single precision can still add up


class LexiconError(GunileoError):
    """A word list or a language model that can't be used, or the package that reads them is missing."""


class Lexicon:
    """Words that may be said in any number and order, with a language model if one is given."""

    def __init__(
        self,
        words: Iterable[str],
        lm: Path | str | None = None,
        width: int = _WIDTH,
        vocabulary: Vocabulary = GRID,
    ) -> None:
        """``lm`` is a KenLM model of these words in lower case, ARPA or binary; all words are alike without one.

        ``LexiconError`` if there are no words, the vocabulary can't spell one or has no space, the model can't be read
        or knows none of the words, or flashlight-text is not installed. ``ValueError`` if ``width`` is less than 1.
        """
        if vocabulary.space is None:
            raise LexiconError(
                "a word list needs a model of letters, and this one's tokens have no space; use a grammar"
            )
        if width < 1:
            raise ValueError(f"a beam of width {width}; give 1 or more")
        self.words = sorted(dict.fromkeys(word for text in words for word in vocabulary.spoken(text).split()))
        if not self.words:
            raise LexiconError("a lexicon needs words; give at least one")
        try:
            spelled = [[*vocabulary.spell(word), vocabulary.space] for word in self.words]
        except ValueError as error:
            raise LexiconError(str(error)) from None
        self.vocabulary, self._space = vocabulary, vocabulary.space
        self._decoder = self._search(spelled, lm, width)

    @classmethod
    def from_file(cls, path: Path | str, lm: Path | str | None = None, vocabulary: Vocabulary = GRID) -> Lexicon:
        """The words of a UTF-8 text file, once each: a word list or running text; ``#`` begins a comment.

        Case and punctuation don't count. ``LexiconError``, naming file and line, for a character that the
        vocabulary can't spell, and as for ``Lexicon``.
        """
        try:
            lines = [vocabulary.spoken(line.partition("#")[0]) for line in read_lines(path)]
        except CorpusError as error:
            raise LexiconError(f"{error}; give a text file of words") from None
        for number, line in enumerate(lines, 1):
            for word in line.split():
                try:
                    vocabulary.spell(word)
                except ValueError as error:
                    raise LexiconError(f"{path}: line {number}: {error}") from None
        if not any(lines):
            raise LexiconError(f"{path} has no words; write at least one")
        return cls(lines, lm, vocabulary=vocabulary)

    def decode(self, logp: Floats) -> Decoded:
        """The likeliest words in log-probabilities [T, C].

        The sentence's confidence is its share of the probability, the language model's included, of all sentences
        that the beam still holds at the end; words have times and confidence as ``ctc.align`` gives them.
        ``DecodeError`` if the model's output is not a number.
        """
        found = self.sentences(logp)
        text, confidence = next(iter(found.items()))
        return Decoded(text, align(logp, text, self.vocabulary), confidence) if text else Decoded("", (), 0.0)

    def sentences(self, logp: Floats) -> dict[str, float]:
        """The sentences that the beam holds at the end, likeliest first, and their shares of the probability."""
        if np.isnan(logp).any():
            raise DecodeError("the model's output is not a number (NaN); its weights are broken, use another model")
        scores = np.full((len(logp) + 1, len(self.vocabulary)), 10 * _LEAST, np.float32)
        scores[:-1] = np.maximum(logp, _LEAST)
        scores[-1, self._space] = 0.0  # every word of the trie ends in a space, the last one too
        results = self._decoder.decode(scores.ctypes.data, *scores.shape)
        totals: dict[str, list[float]] = {}
        for result in results:
            text = " ".join(self.words[number] for number in result.words if number >= 0)
            totals.setdefault(text, []).append(result.score)
        summed = {text: float(np.logaddexp.reduce(found)) for text, found in totals.items()}
        whole = float(np.logaddexp.reduce(list(summed.values())))
        ranked = sorted(summed, key=summed.__getitem__, reverse=True)
        return {text: min(1.0, math.exp(summed[text] - whole)) for text in ranked}

    def _search(self, spelled: Sequence[Sequence[int]], lm: Path | str | None, width: int) -> Any:
        """Flashlight's decoder of the words, each as the classes that spell it."""
        try:
            from flashlight.lib.text import decoder as flashlight
        except ModuleNotFoundError:
            raise LexiconError('flashlight-text is not installed; run: pip install "gunileo[lexicon]"') from None
        model = flashlight.ZeroLM() if lm is None else self._language_model(Path(lm))
        start = model.start(False)
        trie = flashlight.Trie(len(self.vocabulary), self._space)
        for number, classes in enumerate(spelled):
            trie.insert(classes, number, model.score(start, number)[1])
        trie.smear(flashlight.SmearingMode.MAX)
        options = flashlight.LexiconDecoderOptions(
            beam_size=width,
            beam_size_token=len(self.vocabulary),
            beam_threshold=-_LEAST,
            lm_weight=math.log(10),  # KenLM's scores are logarithms to base 10
            word_score=0.0,
            unk_score=-math.inf,
            sil_score=0.0,
            log_add=True,
            criterion_type=flashlight.CriterionType.CTC,
        )
        return flashlight.LexiconDecoder(options, trie, model, self._space, BLANK, len(self.words), [], False)

    def _language_model(self, path: Path) -> Any:
        if not path.is_file():
            raise LexiconError(f"{path}: no such file; give a KenLM model, ARPA or binary")
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary

        try:
            with quiet():  # KenLM draws a bar for each ARPA file
                model = KenLM(str(path), Dictionary([*self.words, "<unk>"]))
        except (RuntimeError, ValueError) as error:
            raise LexiconError(f"{path}: no KenLM model, or damaged; give an ARPA or binary file") from error
        start = model.start(False)
        unknown = model.score(start, len(self.words))[1]
        if all(model.score(start, number)[1] == unknown for number in range(len(self.words))):
            raise LexiconError(f"{path} knows none of the lexicon's words; make one of words in lower case")
        return model
