"""Write docs/licences.md: the licence of each package that gunileo installs, and of each model file that it ships.

    python scripts/licences.py        # in an environment with the extras that are to be listed

Licences are those that packages declare; whatever a package's own files hold besides is not looked at.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from av._core import library_meta

from gunileo.inference.registry import available_models

ALWAYS = "always"
EXTRAS = (ALWAYS, "train", "live", "serve", "burn", "lexicon", "docs", "dev")
ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "licences.md"


def own() -> dict[str, set[str]]:
    """What pyproject.toml asks for, with the extras that ask for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, set[str]] = {}
    for extra in EXTRAS:
        lines = project["optional-dependencies"][extra] if extra != ALWAYS else project["dependencies"]
        for line in lines:
            found.setdefault(_name(line), set()).add(extra)
    return found


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def inherit(name: str, extras: set[str], found: dict[str, set[str]]) -> None:
    """Add all that a package needs here to what is needed by some extras."""
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return  # of another system or Python
    for line in lines:
        inner = _name(line)
        if "extra ==" not in line and not extras <= found.setdefault(inner, set()):
            found[inner] |= extras
            inherit(inner, extras, found)


def licence(name: str) -> tuple[str, str]:
    """Version and licence as a package declares them, by expression, classifier or in the first line of its text."""
    package = distribution(name)
    metadata = package.metadata

    def field(key: str) -> str:
        return next(iter(metadata.get_all(key, [])), "")

    classified = [value.rpartition(" :: ")[2] for value in metadata.get_all("Classifier", []) if "License ::" in value]
    declared = field("License-Expression") or ", ".join(classified) or field("License") or "not declared"
    return package.version, declared.splitlines()[0][:60]


def main() -> None:
    found = own()
    for name, extras in list(found.items()):
        inherit(name, set(extras), found)
    rows = []
    for name in sorted(found):
        try:
            version, declared = licence(name)
        except PackageNotFoundError:
            continue
        through = [ALWAYS] if ALWAYS in found[name] else sorted(found[name])
        rows.append(f"| {name} | {version} | {declared} | {', '.join(through)} |")
    models = [f"| {model.name} | {model.license} | {model.attribution} |" for model in available_models()]
    lines = [
        "# Licences",
        "",
        "Gunileo is Apache-2.0. The models that come with it:",
        "",
        "| file | licence | attribution |",
        "|---|---|---|",
        *models,
        "| face models | Apache-2.0 | Google, MediaPipe 0.10.21; see NOTICE in the repository |",
        "",
        f"PyAV's package holds FFmpeg, whose licence it gives as {library_meta['libavcodec']['license']}.",
        "",
        "What it installs, with the versions of one environment, as the packages declare their licences;",
        "`python scripts/licences.py` makes this page:",
        "",
        "| package | version | licence | needed |",
        "|---|---|---|---|",
        *rows,
    ]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(rows)} packages")


if __name__ == "__main__":
    main()
