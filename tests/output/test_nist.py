"""CTM and TRN: each line by NIST's description of the formats, and both as sclite itself reads them."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gunileo.output.nist import to_ctm, to_trn, utterance_id
from gunileo.output.transcript import Transcript, Word, joined, together

READ = Transcript(
    "clips/s1/bbaf2n.mpg", "bin blue", (Word("bin", 0.2, 0.44, 0.98765), Word("blue", 0.48, 0.68, 0.5)), 0.49, "labial"
)
LATER = replace(READ, text="lay red", words=(Word("lay", 4.0, 4.2, 0.9), Word("red", 4.3, 4.5, 0.8)))
# doc/infmts.htm of SCTK: waveform, channel, begin, duration, word, confidence
_CTM = re.compile(r"\S+ \S+ \d+\.\d+ \d+\.\d+ \S+ [01]\.\d+")
_TRN = re.compile(r"(\S+( \S+)*)? \([^\s()]+[-_][^\s()]+\)")


def test_ctm_has_a_line_a_word() -> None:
    assert to_ctm(READ) == "s1_bbaf2n A 0.200 0.240 bin 0.9877\ns1_bbaf2n A 0.480 0.200 blue 0.5000\n"
    assert all(_CTM.fullmatch(line) for line in to_ctm(joined("x y/a b.mp4", "m", [READ, LATER])).splitlines())


def test_ctm_is_sorted_by_channel_and_time() -> None:
    both = together({"right": READ, "left": replace(LATER, file=READ.file)})
    lines = [line.split() for line in to_ctm(both).splitlines()]
    assert [(channel, word) for _, channel, _, _, word, _ in lines] == [
        *[("left", "lay"), ("left", "red")],
        *[("right", "bin"), ("right", "blue")],
    ]


def test_trn_has_a_line_an_utterance() -> None:
    assert to_trn(READ) == "bin blue (s1_bbaf2n)\n"
    assert to_trn(joined(READ.file, "m", [READ, LATER])) == "bin blue lay red (s1_bbaf2n)\n"
    both = together({"left": READ, "right": LATER})
    assert to_trn(both) == "bin blue (s1_bbaf2n_left)\nlay red (s1_bbaf2n_right)\n"
    nothing = replace(READ, text="", words=())
    assert to_trn(nothing) == " (s1_bbaf2n)\n"
    assert all(_TRN.fullmatch(line) for line in f"{to_trn(READ)}{to_trn(both)}{to_trn(nothing)}".splitlines())


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("s1/bbaf2n.mpg", "s1_bbaf2n"),
        ("/data/front/s10_l_bbat9p.mov", "s10_l_bbat9p"),  # has a speaker
        ("my clips (new)/take 1.mp4", "my.clips.new_take.1"),
        ("a/b-1.2.mp4", "b-1.2"),
    ],
)
def test_an_utterance_has_a_speaker_and_no_spaces(file: str, name: str) -> None:
    assert utterance_id(file) == name


def sclite(folder: Path, kind: str, reference: str, read: str) -> list[str]:
    """The line of sums that sclite prints: sentences, words, right, substituted, deleted, inserted, error."""
    installed = "/usr/lib/sctk/bin/sclite"  # Debian's package sctk
    program = shutil.which("sclite") or (installed if Path(installed).is_file() else None)
    if not program:
        pytest.skip("needs sclite: apt-get install sctk")
    (folder / "reference").write_text(reference)
    (folder / "read").write_text(read)
    given = ["-r", "reference", kind, "-h", "read", kind, "-i", "spu_id", "-o", "sum", "stdout"]
    told = subprocess.run([program, *given], cwd=folder, capture_output=True, text=True, check=True).stdout
    return next(line for line in told.splitlines() if "Sum/Avg" in line).replace("|", " ").split()[1:]


def test_sclite_reads_both(tmp_path: Path) -> None:
    wrong = replace(READ, text="bin red", words=(READ.words[0], replace(READ.words[1], word="red")))
    other = replace(LATER, file="clips/s2/lway2n.mpg")
    sums = ["2", "4", "75.0", "25.0", "0.0", "0.0", "25.0"]
    assert sclite(tmp_path, "trn", to_trn(READ) + to_trn(other), to_trn(wrong) + to_trn(other))[:7] == sums
    assert sclite(tmp_path, "ctm", to_ctm(READ) + to_ctm(other), to_ctm(wrong) + to_ctm(other))[1:7] == sums[1:]
