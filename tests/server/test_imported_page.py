"""An imported model on the page, in a real browser: name, licence, whose figures there are, and what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clips
import pytest

pytest.importorskip("fastapi", reason='needs the extra "serve"')
pytest.importorskip("playwright", reason="needs playwright")
from browser import PATIENCE, Open, camera
from load import served
from playwright.sync_api import expect
from published_models import told, write_checkpoint

from gunileo import load_model
from gunileo.published.importing import import_model
from gunileo.published.search import Weighting

NAME = "vsr-lrs3-small"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in whose home there is an imported model with made-up weights."""
    folder = tmp_path_factory.mktemp("served")
    source = write_checkpoint(folder / "LRS3_V_WER32.3", "swish_latest", told("swish_latest"))
    with served(folder / "tmp") as (address, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUNILEO_HOME", str(folder / "tmp" / "home"))
        card = import_model(str(source), lambda _: True, NAME, say=lambda _: None)
        Weighting(3).write(card.folder / "search.json")
        yield address


def test_an_imported_model_is_read_with_and_says_whose_it_is(visit: Open, tmp_path: Path) -> None:
    said = clips.good(tmp_path / "said.mp4")
    page = visit(camera(tmp_path / "film.y4m", list(clips.talking()[0])[:5]))
    origin = page.locator("#read-origin")
    expect(origin).to_be_hidden()
    page.select_option("#read-model", NAME)
    expect(origin).to_contain_text(f"{NAME} is imported. Licence: the code can only be used for")
    expect(origin).to_contain_text("Its authors' figure: LRS3: WER 32.3 %")
    expect(origin).to_contain_text("Nothing was measured here.")
    expect(page.locator("#read-usual")).to_have_text("the likeliest text")
    page.set_input_files("#file", said)
    expect(page.locator("#sentence")).to_contain_text(load_model(NAME).transcribe(said).text, timeout=PATIENCE)
    expect(page.locator("#sentence small")).to_contain_text("not calibrated")
    expect(page.locator("#doubt")).to_be_hidden()
    page.select_option("#read-model", "labial")
    expect(origin).to_be_hidden()
    page.click("nav a[href='#live']")
    page.select_option("#live-model", NAME)
    expect(page.locator("#live-origin")).to_contain_text("Its authors' figure")
    page.click("nav a[href='#models']")
    card = page.locator("#cards article", has_text=NAME)
    expect(card).to_contain_text("Nothing was measured here.")
    expect(card).to_contain_text("the code can only be used for")
