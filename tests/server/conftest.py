"""The server for its tests: its HTTP API without a network, and a browser that visits its page."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clips
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the server's files go."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("tmp")
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def client(temporary: Path) -> Iterator[Any]:
    """Asks a server that has narrow limits."""
    from api import HOME, SMALL
    from fastapi.testclient import TestClient

    from gunileo.server.app import create_app

    with TestClient(create_app("labial-wide", SMALL), base_url=HOME) as client:
        yield client
    assert not list(temporary.iterdir()), "the server leaves nothing"


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each request the server's folder is empty."""
    yield
    if "temporary" in request.fixturenames:
        for folder in request.getfixturevalue("temporary").glob("gunileo-serve-*"):
            assert not list(folder.iterdir())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The talking clip."""
    return clips.good(tmp_path_factory.mktemp("clips") / "said.mp4")


@pytest.fixture
def visit(server: str) -> Iterator[Callable[..., Any]]:
    """Opens the page before a camera; whatever goes wrong in it fails the test."""
    if CHROMIUM is None:
        pytest.skip("needs chromium (apt-get install chromium)")
    from browser import PATIENCE
    from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browsers = []

        def logged(message: ConsoleMessage) -> None:
            if message.type == "error" and "status of 422" not in message.text:  # which tests ask for
                wrong.append(message.text)

        def open_page(film: Path, script: str = "", **options: object) -> Page:
            fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
            arguments = [*fake, f"--use-file-for-fake-video-capture={film}"]
            browsers.append(playwright.chromium.launch(executable_path=CHROMIUM, args=arguments))
            page = browsers[-1].new_page(**options)
            page.set_default_timeout(PATIENCE)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", logged)
            page.on(
                "request",
                lambda request: request.url.startswith(("blob:", "data:", server)) or wrong.append(request.url),
            )
            page.add_init_script(script)
            page.goto(server)
            page.wait_for_selector("body[data-ready]")
            return page

        yield open_page
        for browser in browsers:
            browser.close()
    assert not wrong
