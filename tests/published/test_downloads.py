"""Published models from a server on this machine that breaks off, lies, and goes on; and on a disk that is full."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from published_models import told, write_checkpoint
from zenodo import Zenodo

from gunileo.corpus import download
from gunileo.corpus.download import DownloadError
from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.published import catalogue
from gunileo.published.catalogue import File, Known
from gunileo.published.importing import import_model
from gunileo.util.files import FileError

FILES = ("model.pth", "model.json")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(download, "_WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(download, "_STEP", 100_000)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zenodo]:
    """It has the made-up model ``made`` of the catalogue, whose checksums are known."""
    folder = write_checkpoint(tmp_path / "Made_V_WER99", "swish_latest", told("swish_latest"))
    with Zenodo("grid", {name: (folder / name).read_bytes() for name in FILES}).serving() as server:
        monkeypatch.setattr(catalogue, "KNOWN", (entry(server),))
        yield server


def address(server: Zenodo, name: str) -> str:
    return f"{server.address}/files/{name}/"


def entry(server: Zenodo) -> Known:
    files = tuple(
        File(name, address(server, name), len(content), hashlib.sha256(content).hexdigest())
        for name, content in server.files.items()
    )
    return Known("made", "https://example.org", "Research only.", "WER 99 %", 1, files, beam=3)


def get(source: str = "made", name: str | None = None) -> registry.ImportedModel:
    return import_model(source, lambda _: True, name, say=lambda _: None)


def downloaded() -> list[Path]:
    return [path for path in (registry.home() / "downloads").rglob("*") if path.is_file()]


def test_a_known_model_is_fetched_checked_and_imported(server: Zenodo) -> None:
    card = get()
    assert card.sha256 == hashlib.sha256(server.files["model.pth"]).hexdigest()
    assert (card.license, card.published, card.source) == ("Research only.", "WER 99 %", address(server, "model.pth"))
    assert not downloaded()


def test_it_goes_on_where_it_broke_off(server: Zenodo) -> None:
    size = len(server.files["model.pth"])
    server.break_off = [200_000, 150_000]
    get()
    ranges = [wanted for name, wanted in server.asked if name == "model.pth"]
    assert ranges == [None, "bytes=200000-", "bytes=350000-"]
    assert server.sent["model.pth"] == size


def test_what_breaks_off_again_and_again_goes_on_with_the_next_call(server: Zenodo) -> None:
    server.break_off = [300_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="check the connection and run the same command again to go on") as error:
        get()
    assert "\n" not in str(error.value)
    assert not registry.imported_models()
    assert [path.name for path in downloaded()] == ["model.pth.part"]
    server.asked.clear()
    get()
    assert server.asked[0] == ("model.pth", "bytes=300000-")
    assert not downloaded()


def test_another_file_than_was_published_is_refused(server: Zenodo) -> None:
    right = server.files["model.pth"]
    server.files["model.pth"] = right[:-1] + bytes([right[-1] ^ 1])
    with pytest.raises(DownloadError, match="differs from its record's checksum, twice"):
        get()
    assert not registry.imported_models()
    assert not downloaded()
    server.files["model.pth"] = right
    assert get().name == "made"


def test_a_longer_file_than_was_published_is_refused(server: Zenodo) -> None:
    server.extra = b"more"
    with pytest.raises(DownloadError, match="is longer than its record says"):
        get()
    assert not registry.imported_models()


def test_a_file_of_an_address(server: Zenodo, tmp_path: Path) -> None:
    plain = address(server, "model.pth")
    with pytest.raises(GunileoError, match="41 classes, which no known list of tokens has"):
        get(plain, "mine")
    other = write_checkpoint(tmp_path / "other", "prelu_legacy", told("prelu_legacy"))
    server.files["packed/model.pth"] = (other / "model.pth").read_bytes()
    with pytest.raises(GunileoError, match="no address of a file"):
        get("ftp://example.org/model.pth")
    server.refuse = [(404, {})] * 9
    with pytest.raises(DownloadError, match="404") as error:
        get(plain.replace("files", "gone"), "mine")
    assert "\n" not in str(error.value)
    assert not registry.imported_models()


def test_two_addresses_that_end_alike_are_two_files(tmp_path: Path) -> None:
    from zenodo import packed

    contents = {}
    for network in ("swish_latest", "prelu_legacy"):
        folder = write_checkpoint(tmp_path / network, network, told(network))
        contents[network] = packed({f"{network}/{name}": (folder / name).read_bytes() for name in FILES})
    cards = []
    for network, content in contents.items():
        with Zenodo("grid", {"model.zip": content}).serving() as server:
            server.break_off = [100_000, *[0] * 9] if not cards else []
            if server.break_off:
                with pytest.raises(DownloadError):
                    get(address(server, "model.zip"), network)
                server.break_off = []
            cards.append(get(address(server, "model.zip"), network))
    assert cards[0].sha256 != cards[1].sha256
    assert not downloaded()


def test_no_room_for_a_download(server: Zenodo, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNILEO_HOME", str(disk))
    assert len(server.files["model.pth"]) > 400_000
    with pytest.raises(FileError, match="free some space and run the same command again to go on") as error:
        get()
    assert "\n" not in str(error.value)
    assert not registry.imported_models()
    assert not list((disk / "imports").glob("gunileo-*"))
