"""Pseudo-alignments: when words are said in clips that have a text alone, by the network in training itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.labels import WordTime
from gunileo.inference.timing import placed
from gunileo.output.transcript import Word
from gunileo.training.dataset import Clips, collate
from gunileo.training.weights import Network, heads

Times = dict[str, tuple[WordTime, ...]]  # by utterance's id


def pseudo_align(model: Network, cache: Cache, utterances: Sequence[CachedUtterance]) -> Times:
    """The words' times, in seconds, of the utterances that have none, by the word head.

    The known words are put in their best places (``gunileo.inference.timing.placed``), which is far easier than to
    read them. An utterance with a word that the head doesn't know, or with more words than frames, is left out.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    times: Times = {}
    for utterance in utterances:
        if utterance.words:
            continue
        with torch.no_grad():
            scores = heads(model, collate([Clips(cache, [utterance])[0]]).to(device))[1]
        assert scores is not None
        log_probabilities = scores[0].float().log_softmax(-1).cpu().numpy()
        words = [Word(word, 0, 0, 1) for word in utterance.text.split()]
        if (found := placed(log_probabilities, model.config.words, words)) is not None:
            times[utterance.id] = tuple(WordTime(word.word, word.start, word.end) for word in found)
    model.train(training)
    return times
