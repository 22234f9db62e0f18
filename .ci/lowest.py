"""Print the lowest version of each direct dependency that pyproject.toml allows, as constraints for pip."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for line in [*project["dependencies"], *extras["train"], *extras["serve"], *extras["lexicon"], *extras["dev"]]:
    requirement = Requirement(line)
    if requirement.marker is None or requirement.marker.evaluate():
        lowest = min(bound.version for bound in requirement.specifier if bound.operator == ">=")
        print(f"{requirement.name}=={lowest}")
