"""What NIST's scoring toolkit SCTK takes: words with their times (CTM) and sclite's transcripts (TRN).

Both as https://github.com/usnistgov/SCTK, doc/infmts.htm, describes them, with the utterance ids that sclite reads by
``-i spu_id`` (doc/options.htm): a speaker, a hyphen or an underscore, an utterance.
"""

from __future__ import annotations

import re
from pathlib import Path

from gunileo.output.transcript import Transcript, spoken_segments

_CHANNEL = "A"  # of a video with one speaker


def to_ctm(transcript: Transcript) -> str:
    """A line a word: id, channel, start and duration in seconds, word, confidence; sorted by channel and time.

    Several speakers are channels by their names.
    """
    name = utterance_id(transcript.file)
    words = sorted(transcript.words, key=lambda word: (word.speaker, word.start))
    return "".join(
        f"{name} {word.speaker or _CHANNEL} {(start := round(word.start, 3)):.3f} {round(word.end, 3) - start:.3f} "
        f"{word.word} {word.confidence:.4f}\n"
        for word in words
    )


def to_trn(transcript: Transcript) -> str:
    """``bin blue at f two now (s1_bbaf2n)``: all that is said in the video on one line, and its id.

    Of several speakers each has a line, its name at the end of the id.
    """
    name, segments = utterance_id(transcript.file), spoken_segments(transcript)
    lines = [
        (f"{name}_{speaker}" if speaker else name, " ".join(one.text for one in segments if one.speaker == speaker))
        for speaker in dict.fromkeys(segment.speaker for segment in segments)
    ]
    return "".join(f"{text} ({utterance})\n" for utterance, text in lines or [(name, "")])


def utterance_id(file: str) -> str:
    """The id of what is said in a file: its name without folders, suffix and spaces.

    A name that has neither hyphen nor underscore, so no speaker, gets its folder's before it: ``s1/bbaf2n.mpg`` is
    ``s1_bbaf2n``. Spaces, and brackets, which end an id, become points.
    """
    path = Path(file).absolute()
    name, folder = (re.sub(r"[\s()]+", ".", part).strip(".") for part in (path.stem, path.parent.name))
    return name if re.search("[-_]", name) else f"{folder}_{name}"
