"""The files a transcript is written to: text, subtitles (SubRip, WebVTT), JSON, tables of words (TSV, NIST's CTM),
sclite's transcripts and Praat's TextGrid.

SubRip is as VLC and FFmpeg read it; WebVTT: https://www.w3.org/TR/webvtt1/; TextGrid in Praat's long text format:
https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html; JSON in ``output.whisper``, CTM and TRN in
``output.nist``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from gunileo.output.nist import to_ctm, to_trn
from gunileo.output.transcript import Segment, Transcript, spoken_segments
from gunileo.output.whisper import to_json
from gunileo.util.files import fitting, write_whole

Interval = tuple[float, float, str]  # seconds from, to, and the text


def marked(said: Transcript | Segment) -> str:
    """The text; a guess begins with ``not sure:``, so that nobody takes it for a reading. If there are several
    speakers, the speaker's name comes first."""
    text = said.text if said.sure else f"not sure: {said.text}".rstrip()
    speaker = said.speaker if isinstance(said, Segment) else ""
    return f"{speaker}: {text}" if speaker else text


def to_txt(transcript: Transcript) -> str:
    """The words alone, a line a sentence, guesses ``marked``."""
    return "".join(f"{marked(one)}\n" for one in transcript.segments or (transcript,))


def to_srt(transcript: Transcript) -> str:
    """SubRip: numbered cues with ``not sure:`` before a guess."""
    cues = (
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{marked(cue)}\n"
        for number, cue in enumerate(spoken_segments(transcript), 1)
    )
    return "\n".join(cues)


def to_vtt(transcript: Transcript) -> str:
    """WebVTT, as browsers show it; the same cues as ``to_srt``."""
    cues = (
        f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_escaped(cue)}\n"
        for cue in spoken_segments(transcript)
    )
    return "WEBVTT\n" + "".join(cues)


def to_tsv(transcript: Transcript) -> str:
    """A table with a line a word: ``start``, ``end`` in seconds, ``word``, ``confidence``; its head names them.

    Where there are several speakers, ``speaker`` comes last.
    """
    several = any(word.speaker for word in transcript.words)
    rows = (
        f"{word.start:.3f}\t{word.end:.3f}\t{word.word}\t{word.confidence:.4f}{several * chr(9)}{word.speaker}\n"
        for word in transcript.words
    )
    return f"start\tend\tword\tconfidence{several * chr(9)}{several * 'speaker'}\n" + "".join(rows)


def to_textgrid(transcript: Transcript) -> str:
    """A TextGrid with two tiers, ``sentences`` and ``words``, from 0 to the end of the video; of several
    speakers each has two, such as ``left - words``.

    Where that isn't known, it is the end of the last word.
    """
    cues = spoken_segments(transcript)
    tiers: list[tuple[str, list[Interval]]] = []
    for speaker in dict.fromkeys([cue.speaker for cue in cues]) or [""]:
        whose = f"{speaker} - " if speaker else ""
        said = [(cue.start, cue.end, marked(replace(cue, speaker=""))) for cue in cues if cue.speaker == speaker]
        words = [(word.start, word.end, word.word) for word in transcript.words if word.speaker == speaker]
        tiers += [(f"{whose}sentences", said), (f"{whose}words", words)]
    spoken = max((interval[1] for _, intervals in tiers for interval in intervals), default=0.0)
    end = max(spoken, transcript.duration or 0.0) or 1.0  # Praat has no empty time
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end:.6f}"]
    lines = [*head, "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers, 1):
        lines += [f"    item [{number}]:", *(f"        {line}" for line in _tier(name, intervals, end))]
    return "\n".join(lines) + "\n"


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _escaped(cue: Segment) -> str:
    return marked(cue).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _tier(name: str, intervals: Sequence[Interval], end: float) -> list[str]:
    """One tier's lines; its intervals fill all of the time, those in which nothing is said are empty.

    What lies within an interval before it is left out, as a tier can't hold both.
    """
    filled: list[Interval] = []
    time = 0.0
    for start, stop, text in intervals:
        start = max(start, time)
        if start > time:
            filled.append((time, start, ""))
        if stop > start:
            filled.append((start, stop, text))
            time = stop
    if time < end:
        filled.append((time, end, ""))
    lines = ['class = "IntervalTier"', f'name = "{name}"', "xmin = 0", f"xmax = {end:.6f}"]
    lines.append(f"intervals: size = {len(filled)}")
    for number, (start, stop, text) in enumerate(filled, 1):
        quoted = text.replace('"', '""')
        lines += [
            f"intervals [{number}]:",
            f"    xmin = {start:.6f}",
            f"    xmax = {stop:.6f}",
            f'    text = "{quoted}"',
        ]
    return lines


# Format and file suffix → writer.
WRITERS: dict[str, Callable[[Transcript], str]] = {
    "txt": to_txt,
    "srt": to_srt,
    "vtt": to_vtt,
    "json": to_json,
    "tsv": to_tsv,
    "ctm": to_ctm,
    "trn": to_trn,
    "TextGrid": to_textgrid,
}


def write_transcript(transcript: Transcript, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write ``stem.txt``, ``stem.json``, ... and return their paths. Missing folders are made.

    ``formats`` are of txt, srt, vtt, json, tsv, ctm, trn and TextGrid. A file appears whole or not at all: it is
    written beside its place and renamed into it. Raises ``FileError`` when the place can't be written to, and
    ``ValueError``, before any file is written, for another format.
    """
    if unknown := [name for name in formats if name not in WRITERS]:
        raise ValueError(f"{unknown[0]!r} is not a format; use one or more of {', '.join(WRITERS)}")
    paths = [fitting(stem.with_name(f"{stem.name}.{name}")) for name in formats]
    for name, path in zip(formats, paths, strict=True):
        write_whole(path, WRITERS[name](transcript))
    return paths
