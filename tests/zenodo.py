"""A server that speaks as Zenodo does, on this machine, and misbehaves as told."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gunileo.corpus.download import RECORDS


def packed(members: Mapping[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for member, content in members.items():
            archive.writestr(member, content, method)
    return file.getvalue()


class Zenodo:
    """What is served, how it misbehaves, and what it was asked for."""

    def __init__(self, corpus: str, files: Mapping[str, bytes]) -> None:
        self.corpus, self.files = corpus, dict(files)
        self.address = ""
        self.ranges = True  # answers requests for a part by that part
        self.break_off: list[int] = []  # bytes after which one answer each ends too early
        self.refuse: list[tuple[int, dict[str, str]]] = []  # status and headers of one answer each, before any other
        self.stall = threading.Event()  # once set, answers wait after their first bytes
        self.extra = b""  # sent after a file's end
        self.promised: int | None = None  # a Content-Length that isn't the answer's
        self.wrong_part = False
        self.block, self.pause = 1 << 16, 0.0  # bytes at a time, and seconds between them
        self.asked: list[tuple[str, str | None]] = []  # file and range
        self.sent: Counter[str] = Counter()  # bytes of each file
        self.over = threading.Event()

    def record(self) -> dict[str, Any]:
        files = [
            {
                "key": name,
                "size": len(content),
                "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                "links": {"self": f"{self.address}/api/records/{RECORDS[self.corpus]}/files/{name}/content"},
            }
            for name, content in self.files.items()
        ]
        return {"files": files, "metadata": {"title": "A\x1b[31m corpus", "license": {"id": "cc-by-4.0"}}}

    @contextmanager
    def serving(self) -> Iterator[Zenodo]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:
                if handler.path == f"/api/records/{RECORDS[self.corpus]}":
                    body = json.dumps(self.record()).encode()
                    handler.send_response(200)
                    handler.send_header("Content-Length", str(len(body)))
                    handler.end_headers()
                    handler.wfile.write(body)
                else:
                    self.answer(handler)

            def log_message(handler, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.split("/")[-2]
        wanted = handler.headers.get("Range")
        self.asked.append((name, wanted))
        if self.refuse:
            status, headers = self.refuse.pop(0)
            handler.send_response(status)
            for key, value in {"Content-Length": "0", **headers}.items():
                handler.send_header(key, value)
            handler.end_headers()
            return
        content = self.files[name] + self.extra
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges else 0  # type: ignore[index]
        handler.send_response(206 if start else 200)
        if start:
            first = start + 1 if self.wrong_part else start
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(self.promised or len(content) - start))
        handler.end_headers()
        self.pour(handler, name, content[start:])

    def pour(self, handler: BaseHTTPRequestHandler, name: str, body: bytes) -> None:
        end = self.break_off.pop(0) if self.break_off else len(body)
        try:
            for at in range(0, min(end, len(body)), self.block):
                part = body[at : min(at + self.block, end)]
                handler.wfile.write(part)
                handler.wfile.flush()
                self.sent[name] += len(part)
                if self.stall.is_set():
                    self.over.wait(10)
                    break
                if self.pause:
                    self.over.wait(self.pause)
        except OSError:
            pass  # whoever asked has gone
        handler.close_connection = True
