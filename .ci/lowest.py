"""Print what holds pip to the lowest version of each direct dependency that pyproject.toml allows.

What pinned.txt beside this pins stays so: other builds of PyTorch bring gigabytes.
"""

import re
import tomllib
from pathlib import Path

root = Path(__file__).parents[1]
project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
pinned = [line for line in (root / ".ci/pinned.txt").read_text().splitlines() if "==" in line]
print(*pinned, sep="\n")
extras = [line for name, lines in project["optional-dependencies"].items() if name != "ray" for line in lines]
for line in dict.fromkeys([*project["dependencies"], *extras]):
    name, lowest = re.match(r"([\w-]+)(?:\[.*\])?(?:>=([\w.]+))?", line).groups()
    if lowest and not any(pin.startswith(f"{name}==") for pin in pinned):
        print(f"{name}=={lowest}")
