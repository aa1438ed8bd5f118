"""A layer around an ASGI app that listens on 127.0.0.1, so that no web page and no stranger can use it.

* Only requests to 127.0.0.1 or localhost: a foreign name in ``Host`` is one that was bound to this address.
* Only from pages of the server itself, or from no page: 3D Slicer sends no ``Origin``.
* Only with the token that was printed at the start; Slicer asks for a password and gets it with that.
* Only what Slicer asks for (:data:`ROUTES`), with names that stay below the data folder.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from .names import check_json, check_path, parse_json
from .refusal import Refusal

__all__ = ["Guard", "own_origins"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

BODY_BYTES = 1 << 20  # of a request that is no upload
_NAME = r"[\w-][\w.-]*"
#: What 3D Slicer's extension asks for.
ROUTES = [
    ("GET", r"/auth/|/auth/token/valid|/info/|/train/"),
    ("GET", rf"/datastore/|/datastore/(image|label)(/info)?|/session/{_NAME}"),
    ("HEAD", r"/datastore/(image|label)"),
    ("POST", rf"/auth/token|/activelearning/{_NAME}|/infer/{_NAME}|/train/({_NAME})?"),
    ("PUT", r"/datastore/|/datastore/(image|label)|/session/"),
    ("DELETE", rf"/train/|/session/{_NAME}"),
]


def own_origins(port: int) -> list[str]:
    """Of the pages that the server itself may send."""
    return [f"http://127.0.0.1:{port}", f"http://localhost:{port}"]


class Guard:
    """An ASGI app that hands on what it lets pass.

    Args:
        app: the app behind it.
        port: where it listens, on 127.0.0.1.
        token: what a client must know.
    """

    def __init__(self, app: App, *, port: int, token: str) -> None:
        self.app, self.token = app, token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = set(own_origins(port))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                await self._serve(scope, receive, send)
            except Refusal as refusal:
                await _answer(send, refusal.status, {"detail": refusal.reason})
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        self._check_sender(headers)
        method, path = scope["method"], scope["path"]
        if not any(method == verb and re.fullmatch(paths, path) for verb, paths in ROUTES):
            raise Refusal(403, f"{method} {path[:80]!r}: not served here")
        if path == "/auth/":
            await _answer(send, 200, {"enabled": True, "client_id": "", "realm": ""})
        elif path == "/auth/token":
            await self._give_token(receive, send)
        else:
            self._check_token(headers)
            if path == "/auth/token/valid":
                await _answer(send, 200, {})
            else:
                await self._hand_on(scope, headers, receive, send)

    def _check_sender(self, headers: dict[str, list[str]]) -> None:
        if len(hosts := headers.get("host", [])) != 1 or hosts[0].lower() not in self.hosts:
            raise Refusal(403, f"Host {', '.join(hosts)[:80]!r}: expected {' or '.join(sorted(self.hosts))}")
        if not self.origins.issuperset(origins := headers.get("origin", [])):
            raise Refusal(403, f"Origin {', '.join(origins)[:80]!r}: pages of other servers are not served")
        if not {"same-origin", "none"}.issuperset(headers.get("sec-fetch-site", [])):
            raise Refusal(403, "Sec-Fetch-Site: pages of other servers are not served")

    def _check_token(self, headers: dict[str, list[str]]) -> None:
        kind, _, given = ", ".join(headers.get("authorization", [])).partition(" ")
        if kind.lower() != "bearer" or not self._is_token(given):
            raise Refusal(401, "the token is missing or wrong; it was printed when the server started")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def _give_token(self, receive: Receive, send: Send) -> None:
        form = parse_qs((await _read(receive)).decode("latin-1"))
        if not self._is_token(form.get("password", [""])[0]):
            raise Refusal(401, "wrong password; expected the token that was printed when the server started")
        await _answer(send, 200, {"access_token": self.token, "token_type": "Bearer"})

    async def _hand_on(
        self, scope: Message, headers: dict[str, list[str]], receive: Receive, send: Send
    ) -> None:
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
            check_path(value, name)
            if name == "uncompress" and value.lower() not in ("false", "0", ""):
                raise Refusal(403, "uncompress: archives are not unpacked here")
        if scope["method"] not in ("POST", "PUT"):
            await self.app(scope, receive, send)
            return
        content_type = ", ".join(types := headers.get("content-type", []))
        if len(types) > 1:
            raise Refusal(400, "more than one Content-Type")
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            await self._watch(content_type, scope, receive, send)
            return
        body = await _read(receive)
        if body and kind != "application/json":
            raise Refusal(
                415, f"content of type {kind[:80]!r}; expected application/json or multipart/form-data"
            )
        check_json(parse_json(body, "body") if body else None, "body")
        await self.app(scope, _again(body, receive), send)

    async def _watch(self, content_type: str, scope: Message, receive: Receive, send: Send) -> None:
        """Let an upload through piece by piece; the app acts on it only when it has come whole."""
        from .uploads import Upload  # its parser comes with the app

        upload = Upload(content_type)
        refused: list[Refusal] = []
        begun = False

        async def watched_receive() -> Message:
            message = await receive()
            try:
                upload.feed(message.get("body", b""))
            except Refusal as refusal:
                refused.append(refusal)
                raise
            return message

        async def watched_send(message: Message) -> None:
            nonlocal begun
            if not refused:  # else the app's own answer to a body that broke off
                begun = True
                await send(message)

        try:
            await self.app(scope, watched_receive, watched_send)
        except Exception:
            if not refused or begun:
                raise
        if refused:
            raise refused[0]


def _headers(scope: Message) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "broken off")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_BYTES:
            raise Refusal(413, f"more than {BODY_BYTES} bytes")
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """``receive`` for the app, of a body that was read."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return waiting.pop() if waiting else await receive()

    return read


async def _answer(send: Send, status: int, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
