"""README and docs: each command exists with the options that are shown, Python compiles, and the site stands alone."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from waiting import PATIENCE

import gunileo
from gunileo.cli.main import app
from gunileo.inference.registry import available_models

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", ".github/ISSUE_TEMPLATE/bug.yml")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
COMMAND: Any = typer.main.get_command(app)
NOT_RUN = {  # why no test runs or parses these
    "curl": "needs a server; its routes and answers are in tests/server",
    "ssh": "needs a second computer",
    "ray": "needs a cluster",
    "tmux": "needs a desktop; its keys are tried in tests/cli/test_live_voice.py",
    ".": "is the shell's own",
    "HOST=$(scontrol": "needs SLURM",
    "pre-commit": "writes into .git",
    "ruff": "is run by make check",
    "mypy": "is run by make check",
    "lint-imports": "is run by make check",
    "uv": "needs the package index for every system",
    "pip-audit": "needs the network",
}
INLINE = re.compile(r"`((?:gunileo|python|pip install|make|pytest|ray|torchrun|uv) [^`]+)`")
OUTSIDE = re.compile(r"(?:https?:)?//")


class Shown(NamedTuple):
    """A command line on a page."""

    page: str
    line: str
    whole: bool = True  # or a mention in prose, which may leave arguments out

    def __str__(self) -> str:
        return f"{self.page}: {self.line}"


def blocks(page: Path, language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return found


def commands() -> Iterator[Shown]:
    """Every command line in blocks of sh and in prose, without comments, prompts and what the commands print."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            prompted = "$ " in block
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip() and not line.startswith("#") and (not prompted or line.startswith("$ ")):
                    yield from split(page.name, line.removeprefix("$ "), True)
        prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for line in INLINE.findall(" ".join(prose.split())):
            yield from split(page.name, line, False)


def split(page: str, line: str, whole: bool) -> Iterator[Shown]:
    for part in line.split(" && "):
        yield Shown(page, " ".join(part.split()), whole)


SHOWN = list(dict.fromkeys(commands()))


def check_gunileo(words: list[str], whole: bool = True) -> None:
    """Fail unless a command line parses as it is; or, in prose, if it names a subcommand or an option that isn't."""
    own = {name for option in COMMAND.params for name in option.opts} | {"--help", "--install-completion"}
    while words and words[0] in own:
        words = words[1:]
    if not words:
        return
    assert words[0] in COMMAND.commands, f"no subcommand {words[0]}"
    subcommand = COMMAND.commands[words[0]]
    if whole and "--help" not in words:
        subcommand.make_context(words[0], words[1:])  # parses and converts, and runs nothing
        return
    known = {name for option in subcommand.params for name in option.opts} | {"--help"}
    given = {word for word in words if re.match(r"--?[a-z]", word)}
    assert given <= known, f"{words[0]} has no {given - known}"


def options_of(script: Path) -> set[str]:
    """The options that a script adds to its parser."""
    calls = (node for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    adding = (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument")
    return {value for call in adding for arg in call.args if isinstance(arg, ast.Constant) and (value := arg.value)}


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        assert words[1] in ("gunileo", "http.server")
    elif words[0] != "--version":
        script = ROOT / words[0]
        assert script.is_file(), f"no {words[0]}"
        given = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
        assert given <= options_of(script), f"{words[0]} has no {given - options_of(script)}"


def check_make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for word in words:
        assert "=" in word or word in targets, f"no target {word}"


def check_pip(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"\.\[([\w,-]+)\]", " ".join(words)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def check_pytest(words: list[str]) -> None:
    assert all((ROOT / word).exists() for word in words)


CHECKS = {
    "python": check_python,
    "make": check_make,
    "pip": check_pip,
    "pytest": check_pytest,
}


@pytest.mark.parametrize("shown", SHOWN, ids=str)
def test_each_command_exists_as_it_is_shown(shown: Shown) -> None:
    words = shlex.split(shown.line, comments=True)
    if words[0] == "srun":
        words = words[1:]
    if words[0] == "torchrun":
        words = words[words.index("gunileo") :]
    if words[0] == "gunileo":
        check_gunileo(words[1:], shown.whole)
    elif words[0] in CHECKS:
        CHECKS[words[0]](words[1:])
    else:
        assert words[0] in NOT_RUN


def test_the_checks_see_what_is_wrong() -> None:
    assert len(SHOWN) > 100
    assert {shown.line.split()[0] for shown in SHOWN} == {*CHECKS, *NOT_RUN, "gunileo", "torchrun", "srun"}
    for words in (
        "read a.mp4",
        "transcribe a.mp4 --decode best",
        "transcribe -f srt",
        "transcribe a.mp4 --decoder beam",
    ):
        with pytest.raises(Exception, match=r"read|best|[Mm]issing|[Nn]o such option"):
            check_gunileo(words.split())
    with pytest.raises(AssertionError, match="--begin"):
        check_gunileo(["train", "--begin"], whole=False)
    for check, wrong in ((check_python, "scripts/adapt.py --none"), (check_make, "all"), (check_pip, "install .[no]")):
        with pytest.raises(AssertionError):
            check(wrong.split())


def test_python_compiles_and_imports_public_names_alone() -> None:
    count = 0
    for page in PAGES:
        for code in blocks(page, "python"):
            count += 1
            tree = ast.parse(code, page.name)
            imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            for node in imported:
                assert not (node.module or "").startswith("gunileo."), page.name
                if node.module == "gunileo":
                    assert {name.name for name in node.names} <= set(gunileo.__all__), page.name
            whole = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
            assert not [name for name in whole if name.startswith("gunileo.")], page.name
    assert count > 5


def test_the_api_page_lists_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: gunileo\.(\w+)$", page, re.MULTILINE)) == sorted(gunileo.__all__)


def test_the_tables_of_models_have_the_figures_that_are_listed() -> None:
    """Those of models.json, which ``gunileo models`` and the page show."""

    def percent(*shares: float) -> str:
        return " / ".join(f"{100 * share:.1f} %" for share in shares)

    readme, models = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/models.md"))
    for info in available_models():
        rates = f"{percent(info.wer_greedy, info.wer_grammar)} | {percent(info.cer_greedy, info.cer_grammar)}"
        for text in (readme, models):
            row = next(line for line in text.splitlines() if line.startswith(f"| `{info.name}` |"))
            assert f"| {rates} | {info.milliseconds:.0f} ms" in row
            assert f"| {info.bytes[info.file] / 1e6:.1f} MB |" in row
        if info.unseen_wer_greedy is not None and info.unseen_wer_grammar is not None:
            greedy, grammar = percent(info.unseen_wer_greedy), percent(info.unseen_wer_grammar)
            assert f"WER was {greedy} greedy and {grammar} with the grammar" in " ".join(readme.split())
            for way, rate in (("greedy", greedy), ("with the grammar", grammar)):
                row = next(line for line in models.splitlines() if line.startswith(f"| {way} | "))
                assert f" | {rate} (" in row


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_links_outside_the_site_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        assert OUTSIDE.match(target) or (ROOT / target).exists(), target


class _Loads(HTMLParser):
    """What a page makes a browser load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        loading = ("src", "srcset", "data", "poster", *(["href"] if tag == "link" else []))
        self.found += [value or "" for name, value in attrs if name in loading]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built docs site."""
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip('needs the extra "docs"')
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_names_nothing_from_outside(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert {page.name for page in pages} >= {"index.html", "faq.html", "api.html", "changelog.html"}
    for page in pages:
        loads = _Loads(page.read_text(encoding="utf-8")).found
        assert loads
        assert not [address for address in loads if OUTSIDE.match(address)], page.name
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", text), sheet.name
    assert "transcribe_stream" in (site / "api.html").read_text(encoding="utf-8")


def test_a_browser_loads_nothing_from_outside_and_finds_words(site: Path) -> None:
    """Its scripts could load more than its pages name."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium (apt-get install chromium)")
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_api.sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        asked: list[str] = []
        page = playwright.chromium.launch(executable_path=chromium).new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index.html", "api.html", "faq.html"):
            page.goto(address + name, wait_until="networkidle")
        page.click(".md-search__input")
        page.keyboard.type("grammar", delay=50)
        page.wait_for_selector(".md-search-result__item")
        server.shutdown()
    assert len(asked) > 10
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]
