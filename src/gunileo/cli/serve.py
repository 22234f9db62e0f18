"""``gunileo serve``: serve the page and the HTTP API."""

from __future__ import annotations

import os
import secrets
import socket
from typing import Annotated

import typer

from gunileo.cli.options import Model
from gunileo.errors import GunileoError
from gunileo.inference.registry import DEFAULT


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on. Other addresses than this machine's own need a token.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    model: Model = DEFAULT,
    token: Annotated[bool, typer.Option("--token", help="Ask for a token on every address.")] = False,
    root_path: Annotated[
        str, typer.Option(metavar="PATH", help="Path at which a proxy serves it, such as /lips.")
    ] = "",
) -> None:
    """Serve a page that reads lips, and an HTTP API, until Ctrl-C.

    \b
      gunileo serve

    By default only this machine can use it. With another --host it makes a token and prints it. The page and the API
    then ask for the token. Browsers allow a camera only on localhost or over https. docs/proxy.md says how to put it
    behind a proxy.
    """
    try:
        import fastapi  # noqa: F401
        import PIL  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn
        import websockets  # noqa: F401
    except ModuleNotFoundError as error:
        raise GunileoError(f'{error.name} is needed and not installed; run: pip install "gunileo[serve]"') from None
    from gunileo.inference.load import load_model
    from gunileo.server.app import create_app
    from gunileo.server.auth import LOOPBACK

    root = f"/{root_path.strip('/')}".rstrip("/")
    load_model(model)  # a wrong name is told now
    bound = _bind(host, port)
    key = None if host in LOOPBACK and not token else secrets.token_urlsafe(16)
    everywhere = host in ("0.0.0.0", "::")
    shown = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
    link = f"http://{shown}:{bound.getsockname()[1]}{root}/"
    typer.echo(f"{link}{f'?token={key}' if key else ''}  (Ctrl-C ends it)")
    app = create_app(model, token=key, root_path=root)
    config = uvicorn.Config(app, log_level="warning", ws_max_size=2**21)
    uvicorn.Server(config).run(sockets=[bound])


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere it would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()  # who is told the address may use it at once
    except OSError as error:
        raise GunileoError(f"{host}:{port}: {error.strerror}; choose another with --host or --port") from None
    return bound
