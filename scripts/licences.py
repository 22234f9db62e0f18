"""Write docs/licences.md: the licence of each package that gunileo installs, and of each model file that it ships.

    python scripts/licences.py        # in an environment with the extras that are to be listed

Licences are those that packages declare; whatever a package's own files hold besides is not looked at.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from av._core import library_meta
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gunileo.inference.registry import available_models

ALWAYS = "always"
EXTRAS = (ALWAYS, "train", "live", "serve", "burn", "lexicon", "table", "docs", "dev")
ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "licences.md"


def own() -> list[tuple[Requirement, str]]:
    """What pyproject.toml asks for, each with the extra that asks for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = {ALWAYS: project["dependencies"], **project["optional-dependencies"]}
    return [(Requirement(line), extra) for extra in EXTRAS for line in lines[extra]]


def follow(wanted: Requirement, extra: str, found: dict[str, set[str]], seen: set[tuple[str, str, str]]) -> None:
    """Add to ``found`` a package that an extra of ours needs, and all that it needs here in turn."""
    for own_extra in ("", *wanted.extras):
        if wanted.marker and not wanted.marker.evaluate():
            return
        name = canonicalize_name(wanted.name)
        if (name, own_extra, extra) in seen:
            continue
        seen.add((name, own_extra, extra))
        found.setdefault(name, set()).add(extra)
        try:
            lines = distribution(name).requires or []
        except PackageNotFoundError:
            return  # of another system or Python
        for inner in map(Requirement, lines):
            if not inner.marker or inner.marker.evaluate({"extra": own_extra}):
                inner.marker = None
                follow(inner, extra, found, seen)


def licence(name: str) -> tuple[str, str]:
    """Version and licence as a package declares them: by expression, classifier, or in the first line of its text."""
    package = distribution(name)
    metadata = package.metadata

    def field(key: str) -> str:
        return next(iter(metadata.get_all(key, [])), "")

    classified = [value.rpartition(" :: ")[2] for value in metadata.get_all("Classifier", []) if "License ::" in value]
    text = (package.read_text(f"licenses/{field('License-File')}") or "").strip()
    declared = field("License-Expression") or ", ".join(classified) or field("License") or text or "not declared"
    return package.version, declared.splitlines()[0][:60]


def main() -> None:
    found: dict[str, set[str]] = {}
    for requirement, extra in own():
        follow(requirement, extra, found, set())
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
