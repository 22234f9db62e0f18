"""What the tests of the page share: a film in the camera's place, and patience."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from playwright.sync_api import Page

from gunileo.vision.video import Frame

PATIENCE = 300_000  # milliseconds, on a busy machine
Open = Callable[..., Page]


def camera(path: Path, frames: list[Frame]) -> Path:
    """A film that the browser takes for a camera's: a clip with rest around it, as it is shown again and again."""
    with av.open(str(path), "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("wrapped_avframe", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for pixels in [frames[0]] * 25 + frames + [frames[-1]] * 25:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def until(page: Page, condition: str) -> None:
    """Wait for it; Playwright's own way is forbidden by the page's content security policy."""
    for _ in range(PATIENCE // 100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"in vain: {condition}")
