"""Web servers on 127.0.0.1, each for one test: of plain files, of lies, and of the ``hf/`` tree."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Handler(BaseHTTPRequestHandler):
    """Serves files below ``root``, or what ``lies`` has for the path instead.  Ignores ``Range``."""

    root: Path
    lies: dict[str, Callable[[Handler, Path], None]]
    seen: list[str]
    open_ended: threading.Event

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.seen.append(f"{self.command} {path} {self.headers.get('Range', '')}".strip())
        file = self.root / path.lstrip("/")
        if path in self.lies:
            self.lies[path](self, file)
        elif file.is_file():
            self.answer(file.read_bytes())
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, body: bytes, *, code: int = 200, length: int | None = None, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Silence."""


class HubHandler(Handler):
    """Just the mapping that ``common.registry.hub`` requires of a server."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.seen.append(f"{self.command} {path}")
        file, parts = self.root / path.lstrip("/"), path.split("/")
        if not file.is_file():
            self.send_error(404)
            return
        headers = {"ETag": f'"{hashlib.sha1(file.read_bytes()).hexdigest()}"'}
        if parts[3:4] == ["resolve"]:
            headers["X_Repo_Commit"] = parts[4]
        self.answer(file.read_bytes(), **headers)

    def do_HEAD(self) -> None:
        self.do_GET()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Silence: clients that have heard enough hang up."""


class Server:
    """A running server: its address, the requests it got, and its lies."""

    def __init__(self, root: Path, handler: type[Handler]) -> None:
        self.lies: dict[str, Callable[[Handler, Path], None]] = {}
        self.seen: list[str] = []
        self.closing = threading.Event()
        state = {"root": root, "lies": self.lies, "seen": self.seen, "open_ended": self.closing}
        self.http = _HttpServer(("127.0.0.1", 0), type("Bound", (handler,), state))
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@contextmanager
def serving(root: Path, handler: type[Handler] = Handler) -> Iterator[Server]:
    server = Server(root, handler)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join(10)
