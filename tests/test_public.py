"""What ``gunileo`` itself gives: all that README, docs and the notebook use, with types, loaded when it is used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

import gunileo

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = {
    *("CLASSES", "Alternative", "Augmentation", "Cache", "Clips", "Corpus", "Decoded", "Evaluation", "Grammar"),
    *("GunileoError", "LabialCNN", "Lexicon", "Limits", "Live", "Match", "ModelInfo", "MouthClip", "Reader", "Segment"),
    *("TrainingConfig", "Transcript", "Utterance", "Word", "available_models", "code_to_text", "collate"),
    *("contact_sheet", "draw_codes", "evaluate", "find_corpus", "find_faces", "load_model", "make_corpus"),
    *("create_app", "nbest", "prepare", "read_mouth", "train", "write_transcript"),
}


def told() -> Iterator[tuple[str, str]]:
    """Each page's name and the Python in it."""
    for page in PAGES:
        for code in re.findall(r"```(?:python|py)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            yield page.name, code
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                yield path.name, cell.source


def test_the_list_is_this() -> None:
    assert set(gunileo.__all__) == NAMES
    assert set(dir(gunileo)) >= NAMES
    for name in gunileo.__all__:
        assert getattr(gunileo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        gunileo.nonsense  # noqa: B018


def test_types_name_the_same_objects() -> None:
    """What a type checker is told to import is what is imported."""
    tree = ast.parse(Path(gunileo.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        name.asname: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    assert typed == gunileo._HOMES


def test_pages_and_notebook_import_from_the_package_alone() -> None:
    used = set()
    for page, code in told():
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "gunileo":
                assert node.module == "gunileo", f"{page}: {node.module}"
                used |= {name.name for name in node.names}
            elif isinstance(node, ast.Import):
                assert not [name.name for name in node.names if name.name.startswith("gunileo.")], page
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gunileo":
                used.add(node.attr)
    assert used
    assert used <= set(gunileo.__all__)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_prose_names_what_there_is(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name in re.findall(r"`gunileo\.(\w+)", prose):
        assert name in gunileo.__all__


def test_nothing_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys, gunileo; print(*(name for name in sys.modules if name.startswith('gunileo.') or name == 'numpy'))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == []
