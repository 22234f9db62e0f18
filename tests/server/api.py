"""What tests of the HTTP API share: the address, narrow limits, and how a file is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gunileo.server.jobs import Limits

HOME = "http://127.0.0.1:8000"
SMALL = Limits(upload=2_000_000, video=4, work=20, waiting=1, cameras=1)


def post(client: Any, path: Path, accept: str = "*/*", to: str = "transcribe", **parameters: str) -> Any:
    """The answer to a file that is sent to a route."""
    with path.open("rb") as file:
        return client.post(
            f"/v1/{to}", files={"file": (path.name, file)}, headers={"Accept": accept}, params=parameters
        )
