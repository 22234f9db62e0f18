"""The notebook runs from start to end, learns, and its commands are ones that there are."""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path

import nbformat
import pytest
import typer
from nbclient import NotebookClient

from gunileo.cli.main import app

NOTEBOOK = Path(__file__).parents[1] / "examples" / "gunileo.ipynb"


@pytest.fixture(scope="module")
def committed() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """The notebook after it ran in an empty folder, in which it must leave nothing."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MPLBACKEND", raising=False)  # else figures would go where the tests' own go
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    assert not list(folder.iterdir())
    return notebook


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


def pictures(notebook: nbformat.NotebookNode) -> dict[str, int]:
    """How many PNGs come after each chapter's heading."""
    found, chapter = dict[str, int](), ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            chapter = cell.source.splitlines()[0].rpartition(". ")[2]
            found[chapter] = 0
        found[chapter] = found.get(chapter, 0) + sum(
            "image/png" in output.get("data", {}) for output in cell.get("outputs", [])
        )
    return found


def test_committed_without_outputs(committed: nbformat.NotebookNode) -> None:
    nbformat.validate(committed)
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_five_chapters_with_pictures_of_mouths_and_curves(executed: nbformat.NotebookNode) -> None:
    found = pictures(executed)
    found.pop("", None)
    assert list(found) == ["Structure", "Imports", "Data loading", "Model settings", "Training and testing"]
    assert found["Data loading"] == 2
    assert found["Training and testing"] == 2


def test_layer_table_is_the_published_one(executed: nbformat.NotebookNode) -> None:
    rows = [line for line in printed(executed).splitlines() if re.search(r"(Conv3d|Linear):", line)]
    assert [count for row in rows for count in ("608", "9,616", "38,432", "18,981") if f" {count} " in row] == [
        *("608", "9,616", "38,432", "18,981")
    ]


def test_learns_and_reads(executed: nbformat.NotebookNode) -> None:
    text = printed(executed)
    assert "14 videos, 14 labels, 14 pairs, 14 usable" in text
    assert "14 prepared, 0 skipped" in text
    epochs = re.findall(r"^epoch (\d+)/16  loss (\S+)  validation loss (\S+)", text, re.MULTILINE)
    assert [int(number) for number, _, _ in epochs] == list(range(1, 17))
    losses = [float(loss) for _, *both in epochs for loss in both]
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    assert losses[-2] < losses[0] / 2  # of the training clips
    assert losses[-1] < losses[1] / 2  # of clips it is not trained on
    assert re.search(r"^2 clips of .+\n +greedy +grammar\nword error rate +\d", text, re.MULTILINE)
    said, read = re.search(r"^said (.+)\nread (.+)$", text, re.MULTILINE).groups()
    assert len(said.split()) == len(read.split()) == 6


def test_commands_for_the_real_corpus_exist(committed: nbformat.NotebookNode) -> None:
    blocks = [block for cell in committed.cells for block in re.findall(r"```sh\n(.+?)```", cell.source, re.DOTALL)]
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert {line[1] for line in lines} == {"prepare", "sheet", "train", "evaluate", "transcribe"}
    subcommands = typer.main.get_command(app).commands
    for program, name, *arguments in lines:
        assert program == "gunileo"
        subcommands[name].make_context(name, arguments)  # raises at an option or an argument that there isn't
