"""The videos that a command's arguments name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape, glob, has_magic
from pathlib import Path

from gunileo.cli.complaints import complain


@dataclass(frozen=True)
class Job:
    """A video to read."""

    path: Path
    stem: Path  # of the files to write, below the output folder
    name: str = ""  # of the file in messages and transcripts; its path if left out

    def __str__(self) -> str:
        return self.name or str(self.path)


def find_jobs(arguments: Sequence[str], numbered: bool = False) -> tuple[list[Job], bool]:
    """The videos that files, folders and patterns name, each once; and whether an argument named none.

    With ``numbered``, a folder counts as one video, made of the numbered pictures in it.
    """
    from gunileo.vision.film import local
    from gunileo.vision.numbered import is_pattern, stem_of
    from gunileo.vision.video import VideoError

    jobs: dict[Path, Job] = {}
    failed = False
    for given in arguments:
        try:
            argument = local(given)
        except VideoError as error:
            complain(error)
            failed = True
            continue
        if argument == "-":
            jobs.setdefault(Path("-"), Job(Path("-"), Path("stdin")))
            continue
        if is_pattern(argument) or (numbered and os.path.isdir(argument)):
            jobs.setdefault(Path(argument), Job(Path(argument), Path(stem_of(argument))))
            continue
        found, lost = _found(argument)
        failed |= lost
        if not found:
            failed = True
            kinds = ".mpg, .mp4, .mov, .webm, .avi, .mkv and others"
            complain(f"{argument}: no videos there; give video files ({kinds}), or --fps for a folder of pictures")
        for job in found:
            jobs.setdefault(job.path, job)
    return list(jobs.values()), failed


# What lies beside videos and is none: labels, what was read of them, pictures, sound, what cameras and systems leave.
# fmt: off
_BESIDE = frozenset({
    ".txt", ".align", ".lab", ".srt", ".vtt", ".json", ".tsv", ".ctm", ".trn", ".textgrid", ".csv", ".parquet",
    ".jpg", ".jpeg", ".png", ".webp", ".heic", ".bmp", ".wav", ".mp3", ".m4a", ".flac",
    ".thm", ".lrv", ".xml", ".ini", ".db", ".pdf", ".md", ".html",
})
# fmt: on


def _found(argument: str) -> tuple[list[Job], bool]:
    """The videos of one file, folder or pattern, and whether some of a folder can't be reached. A file that isn't there
    is one too, to be told when it is read."""
    from gunileo.corpus.walk import VIDEO_SUFFIXES, walk

    is_pattern = has_magic(argument) and not os.path.exists(argument)
    folder, name = os.path.split(argument)
    if is_pattern and os.path.isdir(folder):  # whose own name may have brackets
        argument = os.path.join(escape(folder), name)
    jobs, lost = list[Job](), False
    for path in map(Path, sorted(glob(argument, recursive=True)) if is_pattern else [argument]):
        if os.path.isdir(path):
            inside = walk(path, VIDEO_SUFFIXES)
            jobs += [Job(file, file.relative_to(path).with_suffix("")) for file in inside.files]
            for place, reason in inside.lost:
                complain(f"{place}: {reason}")
                lost = True
            others = [f"{count} {kind}" for kind, count in inside.others.most_common() if kind not in _BESIDE]
            if inside.files and others:
                complain(f"{path}: files of other kinds passed over: {', '.join(others)}")
        else:
            jobs.append(Job(path.absolute() if path == Path("-") else path, Path(path.stem)))
    return jobs, lost
