"""Utterances read from their videos, for models that take other pictures than the crops of a cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gunileo.corpus.cache import Cache, read_manifest
from gunileo.corpus.finders import Utterance, find_corpus
from gunileo.corpus.labels import CorpusError, WordTime
from gunileo.corpus.miracl import read_pictures
from gunileo.vision.mouth import read_stretch
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.view import View


@dataclass(frozen=True)
class Videos:
    """Utterances whose clips are followed anew each time, with the pictures of a ``view`` if there is one.

    ``path`` is the folder or cache that they are of. Their words have times by a player's clock.
    """

    path: Path
    utterances: list[Utterance]
    view: View | None = None

    @classmethod
    def in_folder(cls, path: Path, view: View | None = None) -> Videos:
        """Those of a corpus. Raises ``CorpusError`` if the folder has no video, or none with a text."""
        found = find_corpus(path).utterances
        if not found:
            raise CorpusError(f"{path}: no video has a text that can be read; put one beside each, of the same name")
        return cls(path, found, view)

    @classmethod
    def of_cache(cls, cache: Cache, view: View | None = None) -> Videos:
        """The videos that a cache's crops were cut from.

        Raises ``CorpusError`` if it has no crops, or no video is there any more.
        """
        entries = [entry for _, entry in sorted(read_manifest(cache.path)[0].items()) if entry.utterance.has_crops]
        if not entries:
            raise CorpusError(f"{cache.path}: holds only mouth shapes; give a folder of clips with their texts")
        if not any(Path(entry.source).exists() for entry in entries):
            raise CorpusError(
                f"{cache.path}: holds mouth crops, and the videos that they were cut from are gone "
                f"({entries[0].source}); give the folder of the videos, as this model takes other pictures"
            )
        found = []
        for entry in entries:
            one = entry.utterance
            words = _moved(one.words, entry.start)
            found.append(Utterance(one.id, one.speaker, Path(entry.source), one.text, words))
        return cls(cache.path, found, view)

    def load(self, utterance: Utterance) -> MouthClip:
        """The mouths of one utterance; raises as ``read_mouth``."""
        return self.timed(utterance)[0]

    def timed(self, utterance: Utterance) -> tuple[MouthClip, tuple[WordTime, ...]]:
        """The mouths of one utterance, and its words with times from the clip's start; raises as ``read_mouth``."""
        if utterance.video.is_dir():
            return read_pictures(utterance.video, self.view), utterance.words
        clip, start = read_stretch(utterance.video, view=self.view)
        return clip, _moved(utterance.words, -start)


def _moved(words: tuple[WordTime, ...], seconds: float) -> tuple[WordTime, ...]:
    return tuple(WordTime(word.word, max(0.0, word.start + seconds), word.end + seconds) for word in words)
