"""Corpora from a server on this machine that breaks off, stalls, lies, and serves archives that bite."""

import json
import random
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from folders import files
from zenodo import Zenodo, packed

from gunileo.corpus import download as module
from gunileo.corpus.archive import ArchiveError, unpack
from gunileo.corpus.download import DownloadError, download
from gunileo.corpus.finders import find_corpus
from gunileo.util.files import FileError, alone

ALIGN = "0 12000 sil\n12000 18000 {}\n18000 24000 {}\n24000 30000 {}\n30000 36000 {}\n36000 42000 {}\n42000 50000 {}\n"
NOISE = random.Random(0).randbytes(300_000)  # packs to itself


def align(text: str) -> bytes:
    return ALIGN.format(*text.split()).encode()


def grid() -> dict[str, bytes]:
    """Two speakers of GRID as they are packed: labels filed under the other one, macOS's leftovers, a broken clip."""
    return {
        "s1.zip": packed(
            {
                "s1/": b"",
                "s1/bbaf2n.mpg": NOISE,
                "s1/lwws9a.mpg": b"",
                "__MACOSX/s1/._bbaf2n.mpg": b"resource",
                "s1/.DS_Store": b"finder",
                "s1/Thumbs.db": b"windows",
            }
        ),
        "s2.zip": packed({"s2/s2/pgiozs.mpg": NOISE[::-1]}),
        "alignments.zip": packed(
            {
                "alignments/s2/bbaf2n.align": align("bin blue at f two now"),
                "alignments/s1/pgiozs.align": align("place green in o zero soon"),
                "alignments/s1/lwws9a.align": align("lay white with s nine again"),
                "alignments/s7/swwzzs.align": align("set white with z zero soon"),
                "__MACOSX/alignments/s1/._lwws9a.align": b"resource",
            },
            zipfile.ZIP_DEFLATED,
        ),
        "audio_25k.zip": packed({"audio.wav": b"not asked for"}),
    }


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(module, "_STEP", 50_000)


@pytest.fixture
def zenodo() -> Iterator[Zenodo]:
    with Zenodo("grid", grid()).serving() as server:
        yield server


def get(server: Zenodo, output: Path, *speakers: str) -> list[str]:
    said: list[str] = []
    download(server.corpus, output, speakers or None, said.append, server.address)
    return said


WHOLE = {"s1/bbaf2n.mpg", "s1/lwws9a.mpg", "s2/pgiozs.mpg"}
WHOLE |= {"align/s1/bbaf2n.align", "align/s1/lwws9a.align", "align/s2/pgiozs.align", "downloaded.json"}


def test_a_corpus_comes_as_prepare_takes_it(zenodo: Zenodo, tmp_path: Path) -> None:
    said = get(zenodo, tmp_path)
    assert files(tmp_path) == WHOLE
    assert (tmp_path / "s1/bbaf2n.mpg").read_bytes() == NOISE
    found = find_corpus(tmp_path)
    assert (found.without_label, found.without_video, found.rejected) == ([], [], [])
    assert {utterance.id: len(utterance.words) for utterance in found.utterances} == {
        **{"s1/bbaf2n": 6, "s1/lwws9a": 6, "s2/pgiozs": 6}
    }
    assert "licence cc-by-4.0" in said[0]
    assert "JASA 120" in said[0]
    assert "\x1b" not in said[0]
    assert "audio_25k.zip" not in [name for name, _ in zenodo.asked]


def test_what_is_there_is_not_fetched_again(zenodo: Zenodo, tmp_path: Path) -> None:
    get(zenodo, tmp_path)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)}
    zenodo.asked.clear()
    assert get(zenodo, tmp_path)[1:] == [f"{name}: there already" for name in ("s1.zip", "s2.zip", "alignments.zip")]
    assert zenodo.asked == []
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)} == before
    (tmp_path / "s1/bbaf2n.mpg").unlink()
    get(zenodo, tmp_path, "s1")
    assert [name for name, _ in zenodo.asked] == ["s1.zip"]
    assert files(tmp_path) == WHOLE


def test_an_archive_that_a_killed_call_left_behind_is_deleted(zenodo: Zenodo, tmp_path: Path) -> None:
    """It was killed after the receipt was written, and before the archive was deleted."""
    get(zenodo, tmp_path)
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/s1.zip").write_bytes(zenodo.files["s1.zip"])
    zenodo.asked.clear()
    get(zenodo, tmp_path)
    assert files(tmp_path) == WHOLE
    assert not (tmp_path / "archives").exists()
    assert zenodo.asked == []


def test_only_the_speakers_asked_for_are_unpacked(zenodo: Zenodo, tmp_path: Path) -> None:
    get(zenodo, tmp_path, "s2")
    kept = {"archives/alignments.zip", "downloaded.json"}  # as it holds other speakers' labels
    assert files(tmp_path) == {"s2/pgiozs.mpg", "align/s2/pgiozs.align", *kept}
    get(zenodo, tmp_path, "S1")
    assert files(tmp_path) == WHOLE | kept
    assert [name for name, _ in zenodo.asked] == ["s2.zip", "alignments.zip", "s1.zip"]
    get(zenodo, tmp_path)
    assert files(tmp_path) == WHOLE
    with pytest.raises(DownloadError, match=r"speaker 's21' isn't in the corpus; there are s1, s2$"):
        get(zenodo, tmp_path, "s21")


def test_lombard_grid_of_a_speaker(tmp_path: Path) -> None:
    wrong = "s28_l_bbat9p_WRONG_#sil"
    content = {
        "lombardgrid_front.zip": packed(
            {f"lombardgrid/front/{name}.mov": NOISE for name in ("s2_l_bbaf2n", "s28_l_lwws9a", wrong)}
        ),
        "lombardgrid_alignment.zip": packed(
            {f"lombardgrid/alignment/{name}.json": b"{}" for name in ("s2_l_bbaf2n", "s28_l_lwws9a")}
        ),
        "lombardgrid_side.zip": packed({"lombardgrid/side/s2_l_bbaf2n.mov": NOISE}),
    }
    with Zenodo("lombard", content).serving() as server:
        get(server, tmp_path, "s28")
        mine = {"front/s28_l_lwws9a.mov", f"front/{wrong}.mov", "alignment/s28_l_lwws9a.json", "downloaded.json"}
        kept = {"archives/lombardgrid_front.zip", "archives/lombardgrid_alignment.zip"}
        assert files(tmp_path) == mine | kept
        assert {name for name, _ in server.asked} == {"lombardgrid_front.zip", "lombardgrid_alignment.zip"}
        with pytest.raises(DownloadError, match="speaker 's99' isn't in the corpus; there are s28"):
            get(server, tmp_path, "s99")
        server.asked.clear()
        get(server, tmp_path)
        assert not server.asked, "the archives were kept for the other speakers"
        assert files(tmp_path) == mine | {"front/s2_l_bbaf2n.mov", "alignment/s2_l_bbaf2n.json"}


def test_it_goes_on_where_the_connection_broke(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.break_off = [100_000, 120_000]
    get(zenodo, tmp_path, "s1")
    assert zenodo.asked[:3] == [("s1.zip", None), ("s1.zip", "bytes=100000-"), ("s1.zip", "bytes=220000-")]
    assert zenodo.sent["s1.zip"] == len(zenodo.files["s1.zip"]), "no byte twice"
    assert (tmp_path / "s1/bbaf2n.mpg").read_bytes() == NOISE


def test_a_later_call_goes_on_too(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.break_off = [100_000, 10, 10, 10, 10]
    with pytest.raises(DownloadError, match=r"s1.zip.*broke off, 4 times in a row; check the connection and run the"):
        get(zenodo, tmp_path, "s1")
    assert files(tmp_path) == {"archives/s1.zip.part"}
    there = (tmp_path / "archives/s1.zip.part").stat().st_size
    assert there == 100_040 - 10
    zenodo.asked.clear()
    zenodo.break_off = []
    get(zenodo, tmp_path, "s1")
    assert zenodo.asked[0] == ("s1.zip", f"bytes={there}-")
    assert (tmp_path / "s1/bbaf2n.mpg").read_bytes() == NOISE


def test_a_server_without_ranges_sends_it_all_again(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.ranges, zenodo.break_off = False, [200_000, 100_000]
    get(zenodo, tmp_path, "s1")
    assert (tmp_path / "s1/bbaf2n.mpg").read_bytes() == NOISE
    zenodo.break_off = [200_000] * 100
    with pytest.raises(DownloadError, match="4 times in a row"):
        get(zenodo, tmp_path / "other", "s1")


def test_a_stall_ends_and_is_bounded(zenodo: Zenodo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STALL", 0.3)
    zenodo.stall.set()
    zenodo.block = 1000
    with pytest.raises(DownloadError, match=r"(broke off \(timed out\)|hardly sends anything), 4 times in a row"):
        get(zenodo, tmp_path, "s1")
    zenodo.stall.clear()
    zenodo.block, zenodo.pause = 1, 0.02  # a drip, which no time-out of a socket ever sees
    with pytest.raises(DownloadError, match="hardly sends anything, 4 times in a row"):
        get(zenodo, tmp_path, "s1")


def test_a_busy_server_is_asked_again(zenodo: Zenodo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    zenodo.refuse = [(429, {"Retry-After": "7"}), (503, {}), (429, {"Retry-After": "999999999"})]
    get(zenodo, tmp_path, "s1")
    assert waited == [7, 0.01, 300]
    zenodo.refuse = [(404, {})]
    with pytest.raises(DownloadError, match=r"s2.zip/content: answers 404 Not Found; check the address"):
        get(zenodo, tmp_path, "s2")


@pytest.mark.parametrize("lie", [5, 10_000_000])
def test_a_length_that_is_a_lie(zenodo: Zenodo, tmp_path: Path, lie: int) -> None:
    zenodo.promised = lie
    if lie > 100:  # all of the file comes, and then nothing of what is promised
        get(zenodo, tmp_path, "s1")
        assert (tmp_path / "s1/bbaf2n.mpg").read_bytes() == NOISE
    else:
        with pytest.raises(DownloadError, match="4 times in a row"):
            get(zenodo, tmp_path, "s1")


def test_more_than_the_record_says_is_not_written(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.extra = NOISE * 3
    with pytest.raises(DownloadError, match="is longer than its record says"):
        get(zenodo, tmp_path, "s1")
    assert (tmp_path / "archives/s1.zip.part").stat().st_size <= len(zenodo.files["s1.zip"])


def test_another_part_than_asked_for_is_not_taken(zenodo: Zenodo, tmp_path: Path) -> None:
    zenodo.break_off, zenodo.wrong_part = [100_000], True
    with pytest.raises(DownloadError, match="another part than was asked for, 4 times in a row"):
        get(zenodo, tmp_path, "s1")


def test_a_corrupt_archive_is_fetched_once_more_and_refused(zenodo: Zenodo, tmp_path: Path) -> None:
    right = zenodo.record()
    zenodo.record = lambda: right  # type: ignore[method-assign]
    zenodo.files["s1.zip"] = zenodo.files["s1.zip"][:-1000] + bytes(1000)
    with pytest.raises(DownloadError, match="differs from its record's checksum, twice; try again later"):
        get(zenodo, tmp_path, "s1")
    assert [name for name, _ in zenodo.asked] == ["s1.zip", "s1.zip"]
    assert files(tmp_path) == set()


def test_a_damaged_beginning_of_an_earlier_call_is_replaced(zenodo: Zenodo, tmp_path: Path) -> None:
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/s1.zip.part").write_bytes(bytes(100_000))
    (tmp_path / "archives/alignments.zip.part").write_bytes(bytes(100_000))  # longer than the archive
    get(zenodo, tmp_path, "s1")
    assert (tmp_path / "s1/bbaf2n.mpg").read_bytes() == NOISE


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("members", "method", "said"),
    [
        ({"s1/bbaf2n.mpg": b"good", "../../evil.mpg": b"bad"}, 0, "would be unpacked outside of its folder"),
        ({"/etc/evil.mpg": b"bad"}, 0, "would be unpacked outside of its folder"),
        ({"s1\\..\\evil.mpg": b"bad"}, 0, "would be unpacked outside of its folder"),
        ({"c:evil.mpg": b"bad"}, 0, "would be unpacked outside of its folder"),
        ({link("s1/bbaf2n.mpg"): b"/etc/passwd"}, 0, "is a link"),
        ({"s1/bbaf2n.mpg": b"x"}, zipfile.ZIP_BZIP2, "packed in an unusual way"),
        (
            {"s1/bbaf2n.mpg": bytes(50_000_000)},
            zipfile.ZIP_DEFLATED,
            "bytes that unpack to 50000000; nothing",
        ),
        ({f"s1/clip{n}.mpg": bytes(500_000) for n in range(100)}, zipfile.ZIP_DEFLATED, "that unpack to 50000000"),
    ],
)
def test_an_archive_that_bites_is_refused_whole(
    tmp_path: Path, members: dict[str | zipfile.ZipInfo, bytes], method: int, said: str
) -> None:
    server = Zenodo("grid", grid() | {"s1.zip": packed(members, method)})
    with server.serving(), pytest.raises(ArchiveError, match=said) as error:
        get(server, tmp_path / "in", "s1")
    assert "\n" not in str(error.value)
    assert files(tmp_path) == {"in/archives/s1.zip"}


def test_members_that_lie_about_their_size_are_not_written(tmp_path: Path) -> None:
    bomb = bytearray(packed({"a.mpg": bytes(50_000_000)}, zipfile.ZIP_DEFLATED))
    claimed, real = (1000).to_bytes(4, "little"), (50_000_000).to_bytes(4, "little")
    (tmp_path / "bomb.zip").write_bytes(bytes(bomb).replace(real, claimed))
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(tmp_path / "bomb.zip", lambda path: tmp_path / "out" / path.name)
    assert files(tmp_path) == {"bomb.zip"}


def test_a_zip_that_is_none(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04", b"x" * 1000, packed({"a.mpg": NOISE})[:-200]):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(ArchiveError, match=r"a\.zip: damaged .*; delete it and download again"):
            unpack(tmp_path / "a.zip", lambda path: tmp_path / path.name)


RECORDS: list[tuple[Callable[[dict], object], str]] = [
    (lambda record: [], "no record of a corpus"),
    (lambda record: record | {"files": [record["files"][0] | {"key": "../s1.zip"}]}, "no record of a corpus"),
    (lambda record: record | {"files": [record["files"][0] | {"size": -1}]}, "no record of a corpus"),
    (lambda record: record | {"files": [record["files"][0] | {"checksum": "sha1:0"}]}, "no record of a corpus"),
    (lambda record: record | {"files": [record["files"][0] | {"links": {"self": "file:///etc/x"}}]}, "lies elsewhere"),
    (lambda record: record | {"files": record["files"][:1]}, "has no alignments.zip"),
]


@pytest.mark.parametrize(("change", "said"), RECORDS)
def test_a_record_that_is_none(tmp_path: Path, change: Callable[[dict], object], said: str) -> None:
    server = Zenodo("grid", grid())
    honest = server.record
    server.record = lambda: change(honest())  # type: ignore[method-assign, assignment, return-value]
    with server.serving(), pytest.raises(DownloadError, match=said) as error:
        get(server, tmp_path, "s1")
    assert "\n" not in str(error.value)
    assert server.asked == []
    assert files(tmp_path) == set()


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"can't be reached \(.*refused\), 4 times in a row"):
        download("grid", tmp_path, None, print, "http://127.0.0.1:1")


def test_receipts_that_are_damaged(zenodo: Zenodo, tmp_path: Path) -> None:
    get(zenodo, tmp_path, "s1")
    receipts = json.loads((tmp_path / "downloaded.json").read_text())
    for content in ("{", "[]", '{"s1.zip": 1}', json.dumps(receipts).replace("s1/bbaf2n.mpg", "../x")):
        (tmp_path / "downloaded.json").write_text(content)
        with pytest.raises(DownloadError, match=r"downloaded\.json is damaged; delete it and run the same command"):
            get(zenodo, tmp_path, "s1")


def test_two_at_once_in_one_folder(zenodo: Zenodo, tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(FileError, match="another process is writing to it; wait until it ends"):
        get(zenodo, tmp_path, "s1")
    get(zenodo, tmp_path, "s1")


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = "import os, sys\nfrom pathlib import Path\nfrom gunileo.util.files import alone\n"
    code += "with alone(Path(sys.argv[1])):\n    os.kill(os.getpid(), 9)\n"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert files(tmp_path) == {".lock"}
    with alone(tmp_path):
        pass
    assert files(tmp_path) == set()


def test_the_command(run, zenodo: Zenodo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ZENODO", zenodo.address)
    code, out, err = run("download", "grid", "--speakers", "s1", "-o", tmp_path / "corpus")
    assert (code, err) == (0, "")
    assert "licence cc-by-4.0" in out
    assert "s1.zip: 2 files" in out
    code, _, err = run("download", "grid", "--speakers", "s99", "-o", tmp_path / "corpus")
    assert code == 1
    assert err == "speaker 's99' isn't in the corpus; there are s1, s2\n"
