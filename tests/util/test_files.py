"""Files that appear whole: also where a link or a pipe stands in their place."""

import os
from pathlib import Path
from threading import Thread

import pytest

from gunileo.util.files import write_whole


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    """As people link results to another disk."""
    there = tmp_path / "disk" / "results.csv"
    there.parent.mkdir()
    there.write_text("old")
    link = tmp_path / "results.csv"
    link.symlink_to(there)
    write_whole(link, "new")
    assert (link.is_symlink(), there.read_text()) == (True, "new")
    there.unlink()
    write_whole(link, "first")
    assert (link.is_symlink(), there.read_text()) == (True, "first")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["disk", "results.csv", "results.csv"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_a_pipe_gets_what_is_written_and_stays(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe.csv", list[bytes]()
    os.mkfifo(pipe)
    reader = Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_whole(pipe, b"rows")
    if pipe.is_file():  # else the reader waits for ever
        reader = Thread()
    else:
        reader.join()
    assert (got, pipe.is_fifo()) == ([b"rows"], True)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no files for open descriptors")
def test_a_pipe_without_a_path_is_written_to() -> None:
    """As /dev/stdout is before a pipe, and what a shell makes of >(...)."""
    out, into = os.pipe()
    try:
        write_whole(Path(f"/dev/fd/{into}"), b"rows")
    finally:
        os.close(into)
    with open(out, "rb") as file:
        assert file.read() == b"rows"
