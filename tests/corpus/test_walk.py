"""Folders as people put corpora together: links, other containers, names of other systems; nothing is lost silently."""

import os
import unicodedata
from pathlib import Path

import clips
import numpy as np
import pytest
from PIL import Image
from test_finders import touch

from gunileo.cli.jobs import find_jobs
from gunileo.corpus.finders import find_corpus, find_folder, find_grid
from gunileo.corpus.miracl import read_pictures
from gunileo.corpus.split import split
from gunileo.corpus.walk import VIDEO_SUFFIXES, find_files, walk


def linked(link: Path, target: Path) -> Path:
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("links can't be made here")
    return link


def test_speakers_folders_that_are_links_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "disk" / "s1" / "bbaf2n.mpg")
    touch(tmp_path / "corpus" / "s4" / "bbaf2a.mpg")
    linked(tmp_path / "corpus" / "s1", tmp_path / "disk" / "s1")
    corpus = find_corpus(tmp_path / "corpus")
    assert [one.id for one in corpus.utterances] == ["s1/bbaf2n", "s4/bbaf2a"]
    linked(tmp_path / "all" / "s1", tmp_path / "disk" / "s1")
    assert [one.id for one in find_corpus(tmp_path / "all").utterances] == ["s1/bbaf2n"]


def test_loops_and_second_links_are_passed_over_by_name(tmp_path: Path) -> None:
    video = touch(tmp_path / "z" / "a.mp4")
    linked(tmp_path / "z" / "again", tmp_path)
    linked(tmp_path / "a", tmp_path / "z")  # comes first by name, but the folder itself keeps its own
    linked(tmp_path / "gone.mp4", tmp_path / "nowhere.mp4")
    found = walk(tmp_path, VIDEO_SUFFIXES)
    assert found.files == [video]
    reasons = {path.name: reason for path, reason in found.passed_over}
    assert "is a link to" in reasons["a"]
    assert "is a link to" in reasons["again"]
    assert "a link that leads nowhere" in reasons["gone.mp4"]
    summary = find_folder(tmp_path).summary()
    assert "3 passed over:" in summary
    assert "gone.mp4" in summary


def test_what_is_of_another_kind_is_counted(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.txt", "a.wav", "b.wav", "README", ".hidden"):
        touch(tmp_path / name, "hello")
    assert "3 files of other kinds passed over: 2 .wav, 1 no suffix" in find_corpus(tmp_path).summary()


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root opens all")
def test_a_folder_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "open" / "a.mp4")
    (tmp_path / "shut").mkdir(mode=0)
    assert "shut: can't be opened" in find_folder(tmp_path).summary()


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root opens all")
def test_files_of_a_folder_that_can_only_be_listed_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "open" / "a.mp4")
    touch(tmp_path / "listed" / "b.mp4")
    (tmp_path / "listed").chmod(0o444)
    summary = find_folder(tmp_path).summary()
    (tmp_path / "listed").chmod(0o700)
    assert "b.mp4: can't be opened (Permission denied)" in summary


@pytest.mark.parametrize(
    "suffix", ["ts", "mts", "m2ts", "3gp", "flv", "wmv", "mxf", "vob", "ogv", "M2TS", "m2t", "MOD", "h264"]
)
def test_containers_that_are_read_by_name_are_found_in_folders(tmp_path: Path, suffix: str) -> None:
    video = touch(tmp_path / f"clip.{suffix}")
    assert find_files(tmp_path, VIDEO_SUFFIXES) == [video]


@pytest.mark.parametrize(
    ("video", "label"),
    [
        (unicodedata.normalize("NFD", "\u00e9t\u00e9.mp4"), unicodedata.normalize("NFC", "\u00e9t\u00e9.txt")),
        ("Clip.MP4", "clip.txt"),
        ("clip.mp4", "CLIP.TXT"),
        ("clip .mp4", "clip.txt"),
        ("clip.mp4", "clip.txt "),
        ("clip.mp4 ", " clip.txt"),
    ],
)
def test_names_of_other_systems_pair(tmp_path: Path, video: str, label: str) -> None:
    touch(tmp_path / "ann" / video)
    touch(tmp_path / "ann" / label, "hello")
    corpus = find_folder(tmp_path)
    assert [one.text for one in corpus.utterances] == ["hello"]
    (utterance,) = corpus.utterances
    assert utterance.id == unicodedata.normalize("NFC", utterance.id).strip()
    assert split(corpus.utterances, [unicodedata.normalize("NFD", utterance.id)]) == [utterance]


def test_clips_that_differ_in_case_keep_their_own_labels(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    touch(tmp_path / "a.txt", "small")
    if (tmp_path / "A.mp4").exists():
        pytest.skip("names don't differ in case here")
    touch(tmp_path / "A.mp4")
    touch(tmp_path / "A.txt", "large")
    assert {one.id: one.text for one in find_folder(tmp_path).utterances} == {"a": "small", "A": "large"}


def test_grid_names_with_spaces_and_capitals(tmp_path: Path) -> None:
    touch(tmp_path / "S1" / "BBAF2N .MPG ")
    assert [one.id for one in find_grid(tmp_path).utterances] == ["s1/bbaf2n"]


def test_prepare_tells_by_its_exit_code_that_little_could_be_used(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source, cache = tmp_path / "clips", tmp_path / "cache"
    source.mkdir()
    for name in "abc":
        clips.good(source / f"{name}.mp4", frames=30)
    code, out, err = run("prepare", source, "-o", cache, "--workers", "1")
    assert code == 1
    assert "none of 3 videos could be used" in err
    assert "3 videos without label" in out
    (source / "a.srt").write_text("1\n00:00:00,100 --> 00:00:01,000\nbin blue\n")
    code, out, err = run("prepare", source, "-o", cache, "--workers", "1")
    assert (code, "only 1 of 3 videos could be used" in err) == (1, True)
    (source / "b.txt").write_text("bin green")
    code, out, err = run("prepare", source, "-o", cache, "--workers", "1")
    assert (code, err) == (0, "")
    assert "1 prepared, 1 kept" in out


def test_miracls_pictures_are_brought_to_25_a_second(tmp_path: Path) -> None:
    folder = tmp_path / "F01" / "words" / "01" / "01"
    folder.mkdir(parents=True)
    for number, frame in enumerate(clips.talking()[0][:30:2], 1):
        Image.fromarray(frame).save(folder / f"color_{number:03}.jpg", quality=95)
    clip = read_pictures(folder)
    assert len(clip) == 25
    assert np.ptp(clip.crops[0]) > 50


def test_transcribe_names_what_a_folder_lacks_and_tells_it_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corpus").mkdir()
    clips.good(tmp_path / "corpus" / "a.mp4", 5)
    (tmp_path / "corpus" / "s2").symlink_to(tmp_path / "gone")
    jobs, failed = find_jobs([str(tmp_path / "corpus")])
    assert [job.path.name for job in jobs] == ["a.mp4"]
    assert failed
    link = tmp_path / "corpus" / "s2"
    assert capsys.readouterr().err == f"{link}: is a link that leads nowhere; correct or delete it\n"
    (tmp_path / "corpus" / "s2").unlink()
    (tmp_path / "corpus" / "again").symlink_to(tmp_path / "corpus")  # nothing is lost
    assert not find_jobs([str(tmp_path / "corpus")])[1]
    assert capsys.readouterr().err == ""


def test_transcribe_counts_what_it_passes_over_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.mp4", "a.txt", "a.TextGrid", "a.jpg", ".DS_Store", "Thumbs.db", "talk", "b.part", "c.part"):
        touch(tmp_path / "in" / name)
    jobs, failed = find_jobs([str(tmp_path / "in")])
    assert ([job.path.name for job in jobs], failed) == (["a.mp4"], False)
    assert capsys.readouterr().err == f"{tmp_path / 'in'}: files of other kinds passed over: 2 .part, 1 no suffix\n"
    (tmp_path / "in" / "a.mp4").unlink()
    assert find_jobs([str(tmp_path / "in")]) == ([], True)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_pattern_in_a_folder_with_brackets(tmp_path: Path) -> None:
    clip = touch(tmp_path / "talks [2024]" / "a [x].mp4")
    jobs, failed = find_jobs([str(clip.parent / "*.mp4")])
    assert ([job.path for job in jobs], failed) == ([clip], False)


def test_a_sheet_of_a_folder_that_lacks_something_is_drawn_and_ends_with_1(run, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    clips.good(tmp_path / "corpus" / "a.mp4", 5)
    linked(tmp_path / "corpus" / "s2", tmp_path / "gone")
    code, out, err = run("sheet", tmp_path / "corpus", "-o", tmp_path / "sheet.png")
    assert (code, out) == (1, f"{tmp_path / 'sheet.png'}: 1 of 1 clips\n")
    assert err == f"{tmp_path / 'corpus' / 's2'}: is a link that leads nowhere; correct or delete it\n"
