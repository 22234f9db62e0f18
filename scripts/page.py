"""Draw docs/page.png, the README's picture of the page: python scripts/page.py

Runs the server and a browser (chromium) that reads a made-up clip, a public-domain portrait that is animated: once
in light colours on a desk, once in dark ones on a phone. The model never saw that face, so it is not sure.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from gunileo.corpus.synthetic import speak
from gunileo.server.app import create_app
from gunileo.vision.video import write_video

MODEL = "labial-wide"  # it knows one face, so it is not sure of another
PORT = 8765
HEIGHT = 900  # pixels of both pictures
TARGET = Path(__file__).parents[1] / "docs" / "page.png"


def main() -> None:
    """Write the picture."""
    server = uvicorn.Server(uvicorn.Config(create_app(MODEL), port=PORT, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.1)
    try:
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            clip = Path(folder, "bbaf2n.mp4")
            write_video(clip, speak("bbaf2n")[0])
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
            shots = [taken(browser, clip, 1160, "light"), taken(browser, clip, 400, "dark")]
    finally:
        server.should_exit = True
        thread.join()
    both = Image.new("RGB", (sum(shot.width for shot in shots) + 20, HEIGHT), "white")
    both.paste(shots[0], (0, 0))
    both.paste(shots[1], (shots[0].width + 20, 0))
    both.quantize(128).save(TARGET, optimize=True)
    print(TARGET, TARGET.stat().st_size)


def taken(browser: Browser, clip: Path, width: int, colours: str) -> Image.Image:
    """The page with a clip that was read, in the middle of its third word."""
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=colours)  # type: ignore[arg-type]
    page.goto(f"http://127.0.0.1:{PORT}/")
    page.wait_for_selector("body[data-ready]")
    page.set_input_files("#file", clip)
    page.wait_for_selector("#reading:visible", timeout=120_000)
    page.evaluate("shown.controls = false")  # they would cover the caption
    page.evaluate("shown.currentTime = 1.45")
    page.wait_for_timeout(1500)
    return Image.open(BytesIO(page.screenshot()))


if __name__ == "__main__":
    main()
