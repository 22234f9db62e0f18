"""Who may use the server: this machine's own pages, and on a public address those who have its token.

A page from elsewhere that is open in the same browser can send requests to a local server, and by a name of its own
that it turns to this machine's address (DNS rebinding) it could even read the answers. So the Host has to be one of
this machine's, and a request that a page sends has to come from a page of this server.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WEB = Path(str(files("gunileo.server") / "web"))
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_COOKIE = "gunileo_token"
_STREAMED = (
    "/transcribe",
    "/preview",
    "/recordings",
)  # of files, with limits of their own; all else goes to memory
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
    """Lets through to ``app`` what may pass. Without a ``token`` only this machine's own names do as Host."""

    app: ASGIApp
    token: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, answer)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
        else:
            await refusal(scope, receive, answer)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.token and _name(host) not in LOOPBACK:
            return _error(403, f"this server answers as localhost alone, not as {host[:80]!r}; open it by that name")
        if not _own(headers, host, scope):
            return _error(403, "this server is used by its own page alone, not by pages of others")
        if self.token and scope["path"] != "/healthz" and not self._known(headers):
            return self._ask(scope, headers)
        if not scope["path"].endswith(_STREAMED):
            length = headers.get("content-length", "0")
            if "transfer-encoding" in headers or not length.isdecimal() or int(length) > _BODY:
                return _error(
                    413, f"the body has over {_BODY // 1024} kB, or doesn't say how many; send less, with its length"
                )
        return None

    def _known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return self._is_token(given if scheme.lower() == "bearer" else _cookie(headers))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self.token or "").encode())

    def _ask(self, scope: Scope, headers: Headers) -> Response:
        """The page that asks for the token, or the way on from it; for programs an error."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["type"] == "http" and scope["path"] == "/" and self._is_token(given):
            entered = RedirectResponse("/", 303)  # so that the token stays in no history
            entered.set_cookie(_COOKIE, given, httponly=True, samesite="lax", secure=scope["scheme"] == "https")
            return entered
        if scope["path"] == "/web/style.css":
            return FileResponse(WEB / "style.css")
        if scope["type"] == "http" and "text/html" in headers.get("accept", ""):
            return FileResponse(WEB / "token.html", 401)
        refused = _error(401, "this needs the token that 'gunileo serve' printed; send it as a bearer token")
        refused.headers["www-authenticate"] = "Bearer"
        return refused


def _own(headers: Headers, host: str, scope: Scope) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    origin = headers.get("origin")
    if origin is not None:
        return bool(host) and origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())
    if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return True
    # A link elsewhere may lead here, but nothing be done by it.
    return headers.get("sec-fetch-mode") == "navigate" and scope.get("method") == "GET" and scope["path"] == "/"


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


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
