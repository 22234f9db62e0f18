"""Who may use the server: this machine's own pages, and on a public address those who have its token.

A page from elsewhere that is open in the same browser can send requests to a local server, and by a name of its own
that it turns to this machine's address (DNS rebinding) it could even read the answers. So the Host has to be one of
this machine's, and a request that a page sends has to come from a page of this server.

Behind a proxy the Host may be another than the one that a browser asked. With a token, which a page from elsewhere
doesn't have, what the proxy says of that (X-Forwarded-Host, X-Forwarded-Port) counts, too, and what a browser says of
the page itself (Sec-Fetch-Site).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gunileo.server.answers import error

WEB = Path(str(files("gunileo.server") / "web"))
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_COOKIE = "gunileo_token"
_STREAMED = (
    "/transcribe",
    "/transcriptions",
    "/preview",
    "/recordings",
)  # of files, with limits of their own; all else goes to memory
_PORTS = {"http": 80, "https": 443}
_BODY = 256 * 1024  # bytes
# Nothing from outside: a page that is made to load something elsewhere could tell it what was read.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


@dataclass(frozen=True)
class Guard:
    """Lets through to ``app`` what may pass. Without a ``token`` only this machine's own names do as Host.

    ``root_path`` is the path below which a proxy has the server, such as "/lips", whether it cuts that off or not.
    """

    app: ASGIApp
    token: str | None = None
    root_path: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        root = (self.root_path or scope.get("root_path", "")).rstrip("/")
        path = _below(root, scope["path"])
        scope = {**scope, "root_path": root, "path": root + path}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        refusal = self._refusal(scope, path)
        if refusal is None:
            await self.app(scope, receive, answer)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
        else:
            await refusal(scope, receive, answer)

    def _refusal(self, scope: Scope, path: str) -> Response | None:
        headers = Headers(scope=scope)
        host, forwarded = headers.get("host", ""), _forwarded(headers)
        if not self.token:
            other = next((one for one in (host, *forwarded) if _name(one) not in LOOPBACK), None)
            if other is not None:
                how = "open it by that name, or start it with --token to have it behind a proxy"
                return error(scope, 403, f"this server answers as localhost alone, not as {other[:80]!r}; {how}")
        if not _own(headers, [host, *forwarded], scope, path, bool(self.token)):
            return error(scope, 403, _strange(headers, [host, *forwarded]))
        if not path:  # a page there would ask for all else in the wrong place
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"{scope['root_path']}/{query and '?' + query}")
        if self.token and path != "/healthz" and not self._known(headers):
            return self._ask(scope, headers, path)
        if not path.endswith(_STREAMED):
            length = headers.get("content-length", "0")
            if "transfer-encoding" in headers or not length.isdecimal():
                return error(scope, 413, "the body doesn't say how long it is; send its Content-Length")
            if int(length) > _BODY:
                return error(
                    scope,
                    413,
                    f"the body has over {_BODY // 1024} kB, too much for {path[:80]!r}; /docs tells where videos go",
                )
        return None

    def _known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return self._is_token(given if scheme.lower() == "bearer" else _cookie(headers))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self.token or "").encode())

    def _ask(self, scope: Scope, headers: Headers, path: str) -> Response:
        """The page that asks for the token, or the way on from it; for programs an error."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["type"] == "http" and path == "/" and self._is_token(given):
            entered = RedirectResponse("./", 303)  # so that the token stays in no history
            secure = "https" in (scope["scheme"], headers.get("x-forwarded-proto", "").lower())
            place = scope["root_path"] or "/"
            entered.set_cookie(_COOKIE, given, httponly=True, samesite="lax", secure=secure, path=place)
            return entered
        if path == "/web/style.css":
            return FileResponse(WEB / "style.css")
        if scope["type"] == "http" and "text/html" in headers.get("accept", "") and path.count("/") == 1:
            return FileResponse(WEB / "token.html", 401)
        needed = "this needs the token that 'gunileo serve' printed; send it as a bearer token"
        return error(scope, 401, needed, {"www-authenticate": "Bearer"})


def _below(root: str, path: str) -> str:
    """A path below the server's own, "" for that without its slash; a proxy and a runner may have put it there."""
    while root and (path == root or path.startswith(root + "/")):
        path = path.removeprefix(root)
    return path


def _forwarded(headers: Headers) -> list[str]:
    """The hosts that a browser may have asked a proxy for, as the proxy tells."""
    hosts = [one.strip() for one in headers.get("x-forwarded-host", "").split(",")[:1] if one.strip()]
    port = headers.get("x-forwarded-port", "")
    if port.isdecimal():
        name = _name((hosts or [headers.get("host", "")])[0])
        hosts.append(f"[{name}]:{port}" if ":" in name else f"{name}:{port}")
    return hosts


def _own(headers: Headers, hosts: list[str], scope: Scope, path: str, has_token: bool) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is not None:
        if has_token and site == "same-origin":  # as the browser sees it, whatever a proxy made of Host
            return True
        return any(_same(origin, host) for host in hosts)
    if site in ("same-origin", "none"):
        return True
    # A link elsewhere may lead here, but nothing be done by it.
    return headers.get("sec-fetch-mode") == "navigate" and scope.get("method") == "GET" and path in ("/", "")


def _same(origin: str, host: str) -> bool:
    """Whether a page's origin is a host, by http or https; a scheme's own port may be left out."""
    scheme, _, place = origin.lower().partition("://")
    return scheme in _PORTS and bool(_name(host)) and _place(place, scheme) == _place(host.lower(), scheme)


def _place(host: str, scheme: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "", parts.port or _PORTS[scheme]) if parts.netloc == host else None
    except ValueError:
        return None


def _strange(headers: Headers, hosts: list[str]) -> str:
    """Why a page's request isn't taken: both hosts, so that a proxy that changed one is found."""
    origin = headers.get("origin")
    if origin is None:
        return "this server is used by its own page alone, not by pages of others"
    names = " and ".join(repr(host[:80]) for host in dict.fromkeys(hosts))
    told = f"this request is of a page at {origin[:80]!r}, but the server was asked as {names}"
    return f"{told}; open its own page, or have the proxy pass the Host on (docs/proxy.md)"


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
