"""The page in a real browser, its camera fed by a clip: Read, Live and Teach from start to end."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import clips
import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason='needs the extra "serve"')
pytest.importorskip("playwright", reason="needs playwright")
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from gunileo import load_model
from gunileo.sentence import code_to_text
from gunileo.video import Frame, read_frames

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 90_000  # milliseconds, on a busy machine
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.good(tmp_path_factory.mktemp("page") / "said.mp4")


def camera(path: Path, frames: list[Frame]) -> Path:
    """A film that the browser takes for a camera's: a clip with rest around it, as it is shown again and again."""
    with av.open(str(path), "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("wrapped_avframe", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for pixels in [frames[0]] * 25 + frames + [frames[-1]] * 25:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of half the size, as it is less work for a browser without a graphics card."""
    small = [cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in clips.talking()[0]]
    return camera(tmp_path_factory.mktemp("film") / "talking.y4m", small)


@pytest.fixture
def visit(server: str) -> Iterator[Open]:
    """Opens the page before a camera; whatever goes wrong in it fails the test."""
    if CHROMIUM is None:
        pytest.skip("needs chromium (apt-get install chromium)")
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browsers = []

        def heard(message: ConsoleMessage) -> None:
            if message.type == "error" and "status of 422" not in message.text:  # which tests ask for
                wrong.append(message.text)

        def open_page(film: Path, **options: object) -> Page:
            fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
            arguments = [*fake, f"--use-file-for-fake-video-capture={film}"]
            browsers.append(playwright.chromium.launch(executable_path=CHROMIUM, args=arguments))
            page = browsers[-1].new_page(**options)
            page.set_default_timeout(PATIENCE)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", heard)
            page.on(
                "request",
                lambda request: request.url.startswith(("blob:", "data:", server)) or wrong.append(request.url),
            )
            page.goto(server)
            page.wait_for_selector("body[data-ready]")
            return page

        yield open_page
        for browser in browsers:
            browser.close()
    assert not wrong


def until(page: Page, condition: str) -> None:
    """Wait for it; Playwright's own way is forbidden by the page's content security policy."""
    for _ in range(PATIENCE // 100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"in vain: {condition}")


def heard_live(page: Page, wanted: str) -> list[str]:
    """What is read until this is; the test is skipped where the page itself finds the machine too slow."""
    page.click("#live-start")
    heard: list[str] = []
    for _ in range(60):
        page.wait_for_timeout(1000)
        heard = page.locator("#spoken b").all_inner_texts()
        if wanted in heard:
            return heard
    if "pictures a second" in page.inner_text("#live-status"):
        pytest.skip("this machine is too busy to read a camera live")
    return heard


def test_a_file_is_read(visit: Open, film: Path, said: Path) -> None:
    page = visit(film, viewport={"width": 380, "height": 800}, color_scheme="dark")
    page.set_input_files("#file", said)
    text = load_model().transcribe(said).text
    expect(page.locator("#sentence")).to_contain_text(text, timeout=PATIENCE)
    expect(page.locator("#sentence small")).to_contain_text("Not sure")
    expect(page.locator("#doubt")).to_contain_text("one talker's face")
    words = page.locator("#words button")
    assert [word.split("\n")[0] for word in words.all_inner_texts()] == text.split()
    words.nth(2).press("Enter")
    until(page, "shown.currentTime > 1")
    assert page.evaluate("shown.textTracks[0].mode") == "showing"
    until(page, "shown.textTracks[0].cues?.length === 1")
    page.click("summary")
    assert page.locator("#alternatives li").count() == 5
    with page.expect_download() as download:
        page.click("#downloads a[download$=srt]")
    assert download.value.suggested_filename == "said.srt"
    assert text in Path(download.value.path()).read_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out at a phone's width"


def test_what_no_browser_plays_and_what_is_no_video(visit: Open, film: Path, tmp_path: Path) -> None:
    page = visit(film)
    page.set_input_files("#file", clips.coded(tmp_path / "old.mpg"))
    until(page, "!shown.hidden && shown.duration === 3")
    expect(page.locator("#words button")).to_have_count(6, timeout=PATIENCE)
    page.click("#another")
    page.set_input_files("#file", clips.text(tmp_path / "letter.mp4"))
    expect(page.locator("#read-status")).to_contain_text("letter.mp4: no video", timeout=PATIENCE)
    page.click("#record")
    page.wait_for_timeout(1500)
    page.click("#record")
    expect(page.locator("#words button")).to_have_count(6, timeout=PATIENCE)


def test_a_command_is_taught_and_recognised_live(visit: Open, film: Path) -> None:
    page = visit(film, viewport={"width": 400, "height": 800})
    page.click("nav a[href='#teach']")
    page.fill("#teach-name", "mine")
    page.fill("#teach-text", "turn (on")
    page.press("#teach-name", "Enter")
    expect(page.locator("#plan-status")).to_contain_text("line 1: '(' is never closed", timeout=PATIENCE)
    page.fill("#teach-text", "open the door")
    page.press("#teach-name", "Enter")
    expect(page.locator("#prompt")).to_have_text("open the door", timeout=PATIENCE)
    page.keyboard.press("Enter")
    page.wait_for_timeout(5000)
    page.keyboard.press("Enter")
    expect(page.locator("#take-status")).to_contain_text("Kept “open the door”", timeout=PATIENCE)
    page.click("#studio-done")
    card = page.locator("#taught article")
    expect(card).to_contain_text("Knows each take as an example", timeout=PATIENCE)
    page.click("text=Try it live")
    assert page.input_value("#live-model") == "mine"
    assert "open the door" in heard_live(page, "open the door")
    expect(page.locator("#spoken small").first).to_contain_text("after the last word")
    page.click("nav a[href='#models']")
    expect(page.locator("#cards")).to_contain_text("1 takes of 1 sentences")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("nav a[href='#teach']")
    page.click("text=Delete")
    expect(card).to_have_count(0, timeout=PATIENCE)


def test_a_real_talker_is_read_live(visit: Open, shared: Path, tmp_path: Path) -> None:
    clip = min((shared / "grid" / "s1").glob("*.mpg"))
    page = visit(camera(tmp_path / "real.y4m", list(read_frames(clip))))
    page.click("nav a[href='#live']")
    assert code_to_text(clip.stem) in heard_live(page, code_to_text(clip.stem))
