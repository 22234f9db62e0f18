"""What a pickle may do to whoever unpickles it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class Harm:
    """A value that makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)
