"""The server below a path, behind proxies of every habit, and behind a real nginx and Caddy where they are there."""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import clips
import httpx
import pytest
from waiting import PATIENCE

pytest.importorskip("fastapi", reason='needs the extra "serve"')
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from gunileo.server.app import create_app
from gunileo.server.auth import WEB

DOCS = Path(__file__).parents[2] / "docs" / "proxy.md"
TOKEN = {"Authorization": "Bearer secret"}
PUBLIC = "https://lips.example.org"


def links(page: str) -> list[str]:
    return re.findall(r'(?:href|src|action)="([^"#]*)', page)


def test_every_link_and_request_of_the_page_is_relative() -> None:
    for file in [*WEB.glob("*.html"), *WEB.glob("*.js")]:
        text = file.read_text("utf-8")
        assert not [link for link in links(text) if link.startswith("/")], file
        assert not re.findall(r"""["'`]/(?:v1|healthz|openapi|web|docs)""", text), file


class Runner:
    """An app as a runner with ``--root-path`` calls it."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self.app, self.root = app, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, "root_path": self.root, "path": self.root + scope["path"]}
        await self.app(scope, receive, send)


def below(app: FastAPI, kind: str) -> ASGIApp:
    return Runner(app, "/lips") if kind.startswith("runner") else app


@pytest.mark.parametrize("kind", ["cut off", "left on", "runner, cut off", "runner, left on"])
def test_a_path_of_its_own(kind: str) -> None:
    """What the proxy asks for is below /lips, or not, and the runner or the app knows."""
    root = "" if kind.startswith("runner") else "/lips"
    at = "/lips" if kind.endswith("left on") else ""
    app = below(create_app(token="secret", root_path=root), kind)
    with TestClient(app, base_url="https://lips.example.org", follow_redirects=False, root_path="") as client:
        entered = client.get(f"{at}/?token=secret")
        assert (entered.status_code, entered.headers["location"]) == (303, "./")
        assert "Path=/lips;" in entered.headers["set-cookie"]
        assert "Secure" in entered.headers["set-cookie"]
        assert client.get(f"{at}/healthz").status_code == 200
        assert client.get(f"{at}/web/style.css").status_code == 200
        page = client.get(f"{at}/", headers=TOKEN)
        assert page.status_code == 200
        for link in links(page.text):
            assert client.get(urljoin(f"{at}/", link), headers=TOKEN).status_code == 200, link
        assert client.get(f"{at}/v1/models", headers=TOKEN).status_code == 200
        assert client.get(f"{at}/openapi.json", headers=TOKEN).json()["servers"] == [{"url": "/lips"}]
        if kind == "left on":
            without = client.get("/lips", headers=TOKEN)
            assert (without.status_code, without.headers["location"]) == (307, "/lips/")


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(token="secret"), base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "lips.example.org", "Origin": PUBLIC}, 200),
        ({"Host": "lips.example.org:443", "Origin": PUBLIC}, 200),
        ({"Host": "lips.example.org:80", "Origin": "http://lips.example.org"}, 200),
        ({"Host": "lips.example.org:8443", "Origin": f"{PUBLIC}:8443"}, 200),
        ({"Host": "lips.example.org", "Origin": f"{PUBLIC}:8443"}, 403),  # another server of the same machine
        ({"Host": "lips.example.org", "Origin": f"{PUBLIC}:8443", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "lips.example.org", "Origin": f"{PUBLIC}:8443", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": "lips.example.org", "Origin": f"{PUBLIC}:8443", "X-Forwarded-Port": "8443"}, 200),
        ({"Origin": PUBLIC}, 403),
        ({"Origin": PUBLIC, "X-Forwarded-Host": "lips.example.org"}, 200),
        ({"Origin": PUBLIC, "X-Forwarded-Host": "lips.example.org, inner.example.org"}, 200),
        ({"Origin": PUBLIC, "X-Forwarded-Host": "other.example.org"}, 403),
        ({"Origin": PUBLIC, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": PUBLIC, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": f"ftp://{PUBLIC}"}, 403),
        ({"Origin": "https://lips.example.org:x"}, 403),
    ],
)
def test_a_page_is_known_by_whatever_the_proxy_leaves_of_its_host(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    answer = client.get("/v1/models", headers={**TOKEN, **headers})
    assert answer.status_code == status
    if status == 403:
        error = answer.json()["error"]
        assert headers["Origin"][:80] in error
        assert headers.get("Host", "127.0.0.1:8000") in error
        assert "\n" not in error


def test_without_a_token_a_proxy_opens_nothing() -> None:
    with TestClient(create_app(), base_url="http://127.0.0.1:8000") as client:
        for headers in (
            {"X-Forwarded-Host": "lips.example.org"},
            {"X-Forwarded-Host": "lips.example.org", "Origin": PUBLIC, "Sec-Fetch-Site": "same-origin"},
        ):
            refused = client.get("/v1/models", headers=headers)
            assert refused.status_code == 403
            assert "'lips.example.org'" in refused.json()["error"]
            assert "--token" in refused.json()["error"]
        assert client.get("/v1/models", headers={"Origin": PUBLIC, "Sec-Fetch-Site": "same-origin"}).status_code == 403


def test_bodies_that_are_refused_are_told_why(client: TestClient) -> None:
    large = client.put("/v1/models", headers=TOKEN, content=b"x" * 300_000)
    assert large.status_code == 413
    assert large.json()["error"] == "the body has over 256 kB, too much for '/v1/models'; /docs tells where videos go"
    endless = client.put("/v1/models", headers=TOKEN, content=iter([b"x"]))
    assert (endless.status_code, "doesn't say how long" in endless.json()["error"]) == (413, True)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[int, str]]:
    """The port and the token of a server below a path."""
    command = [sys.executable, "-m", "gunileo", "serve", "--token", "--root-path", "/lips", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = re.match(r"http://127.0.0.1:(\d+)/lips/\?token=(\S+)", process.stdout.readline())
        assert told, "the server tells its address"
        yield int(told[1]), told[2]
        process.terminate()


@contextmanager
def proxy(command: list[str], outer: int) -> Iterator[str]:
    """A proxy at this port; its address."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            try:
                httpx.get(f"http://127.0.0.1:{outer}/lips/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{outer}"
        process.terminate()


@contextmanager
def nginx(location: str, inner: int, folder: Path) -> Iterator[str]:
    """nginx with a location's lines before a server; its address."""
    program, outer = shutil.which("nginx"), free_port()
    if program is None:
        pytest.skip("nginx isn't installed; on Debian: apt-get install nginx-light")
    (mapped,) = re.findall(r"```nginx\n(map .*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    config = (
        f"daemon off; pid {folder}/pid; events {{}} http {{ access_log off; {mapped}\n"
        + "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        + f"server {{ listen 127.0.0.1:{outer}; {location.replace('8000', str(inner))} }} }}"
    )
    (folder / "nginx.conf").write_text(config)
    command = [program, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log")]
    with proxy(command, outer) as address:
        yield address


@contextmanager
def caddy(site: str, inner: int, folder: Path) -> Iterator[str]:
    """Caddy with a site's lines before a server; its address."""
    program, outer = shutil.which("caddy"), free_port()
    if program is None:
        pytest.skip("Caddy isn't installed; on Debian: apt-get install caddy")
    site = site.replace("8000", str(inner)).replace("lips.example.org", f"http://127.0.0.1:{outer}")
    (folder / "Caddyfile").write_text("{\n    admin off\n}\n" + site)
    own = ["env", f"XDG_CONFIG_HOME={folder}", f"XDG_DATA_HOME={folder}"]  # it leaves its configuration there
    with proxy(
        [*own, program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"], outer
    ) as address:
        yield address


@pytest.mark.parametrize(("language", "start"), [("nginx", nginx), ("caddy", caddy)])
def test_behind_a_proxy_as_the_docs_have_it(language: str, start: Any, server: tuple[int, str], tmp_path: Path) -> None:
    """The page, all that it asks for, a clip that is sent by it, and a camera."""
    from websockets.sync.client import connect

    lines = re.findall(rf"```{language}\n((?:location|lips).*?)```", DOCS.read_text("utf-8"), re.DOTALL)[0]
    inner, token = server
    with ExitStack() as stack:
        address = stack.enter_context(start(lines, inner, tmp_path))
        client = stack.enter_context(httpx.Client(base_url=address, follow_redirects=True, timeout=PATIENCE))
        assert client.get("/lips/", headers={"Accept": "text/html"}).status_code == 401
        page = client.get("/lips", params={"token": token})
        assert (page.status_code, str(page.url)) == (200, f"{address}/lips/")
        for link in links(page.text):
            assert client.get(urljoin("/lips/", link)).status_code == 200, link
        clip = clips.good(tmp_path / "clip.mp4", frames=75)
        with clip.open("rb") as file:
            read = client.post("/lips/v1/transcribe", files={"file": file}, headers={"Origin": address})
        assert (read.status_code, read.json()["file"]) == (200, "clip.mp4")
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        live = f"{address.replace('http', 'ws')}/lips/v1/live"
        camera = stack.enter_context(connect(live, origin=address, additional_headers={"Cookie": cookie}))  # type: ignore[arg-type]
        assert "ready" in camera.recv(PATIENCE)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("proxy_pass http://127.0.0.1:8000;", 403),  # nginx's own Host is the server's address
        ("proxy_pass http://127.0.0.1:8000/;", 403),
        ("proxy_pass http://127.0.0.1:8000/; proxy_set_header Host $http_host;", 200),
        ("proxy_pass http://127.0.0.1:8000; proxy_set_header Host $host;", 403),
        ("proxy_pass http://127.0.0.1:8000; proxy_set_header X-Forwarded-Host $http_host;", 200),
        (
            "proxy_pass http://127.0.0.1:8000; proxy_set_header Host $host; "
            "proxy_set_header X-Forwarded-Port $server_port;",
            200,
        ),
    ],
)
def test_behind_nginx_of_other_habits(server: tuple[int, str], tmp_path: Path, lines: str, status: int) -> None:
    inner, token = server
    headers = {"Authorization": f"Bearer {token}"}
    with nginx(f"location /lips/ {{ {lines} }}", inner, tmp_path) as address:
        assert httpx.get(f"{address}/lips/web/app.js", headers=headers, timeout=PATIENCE).status_code == 200
        answer = httpx.get(f"{address}/lips/v1/models", headers={**headers, "Origin": address}, timeout=PATIENCE)
        assert answer.status_code == status
        if status == 403:
            assert address in answer.json()["error"]
            assert "docs/proxy.md" in answer.json()["error"]
        same = {**headers, "Origin": address, "Sec-Fetch-Site": "same-origin"}
        assert httpx.get(f"{address}/lips/v1/models", headers=same, timeout=PATIENCE).status_code == 200
