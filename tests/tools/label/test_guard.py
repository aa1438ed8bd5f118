"""What the layer around the label server passes and refuses, with an app that records what it gets."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from urllib.parse import quote, urlencode

import pytest

from tools.label.served.label_guard.guard import Guard

TOKEN = "a-token-of-a-test"
OWN = {"host": "127.0.0.1:8000", "authorization": f"Bearer {TOKEN}"}
FORMS = pytest.mark.skipif(
    importlib.util.find_spec("python_multipart") is None,
    reason="the parser of uploads comes with MONAI Label: make test-label",
)


class App:
    """Records what gets through to it, and what it reads."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.body = b""

    async def __call__(self, scope, receive, send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.body = body
        self.asked.append(f"{scope['method']} {scope['path']}")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


class Client:
    def __init__(self) -> None:
        self.app = App()
        self.guard = Guard(self.app, port=8000, token=TOKEN)

    def ask(self, method: str, path: str, query: str = "", *, headers=OWN, body=b"", kind=None, piece=7):
        """Status and content of the answer; the body comes in small pieces."""
        headers = dict(headers) | ({"content-type": kind} if kind else {})
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        pieces = [body[i : i + piece] for i in range(0, len(body), piece)] or [b""]
        sent: list[dict] = []

        async def receive():
            one = pieces.pop(0)
            return {"type": "http.request", "body": one, "more_body": bool(pieces)}

        async def send(message):
            sent.append(message)

        asyncio.run(self.guard(scope, receive, send))
        answer = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], json.loads(answer)

    def refused(self, *words, status=403, **more) -> str:
        """It never reached the app."""
        got, content = self.ask(*words, **more)
        assert got == status, content
        assert self.app.asked == []
        return content["detail"]


@pytest.fixture
def client() -> Client:
    return Client()


def test_own_client_passes(client):
    assert client.ask("GET", "/info/") == (200, {})
    assert client.ask("GET", "/info/", headers=OWN | {"host": "localhost:8000"}) == (200, {})
    own = OWN | {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert client.ask("GET", "/info/", headers=own) == (200, {})
    assert client.app.asked == ["GET /info/"] * 3


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:80", "", "x@127.0.0.1:8000"]
)
def test_foreign_host(client, host):
    """As after an attacker's name was rebound to this address."""
    assert "Host" in client.refused("GET", "/info/", headers=OWN | {"host": host})


def test_no_host_or_two(client):
    no_host = {name: value for name, value in OWN.items() if name != "host"}
    assert "Host" in client.refused("GET", "/info/", headers=no_host)
    twice = [*OWN.items(), ("host", "evil.example")]
    scope_headers = [(name.encode(), value.encode()) for name, value in twice]
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/info/", "query_string": b"", "headers": scope_headers}
    asyncio.run(client.guard(scope, None, send))
    assert sent[0]["status"] == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:8001", "http://localhost"]
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT"])
def test_page_of_another_origin(client, method, origin):
    headers = OWN | {"origin": origin, "access-control-request-method": "PUT"}
    assert "Origin" in client.refused(method, "/datastore/", headers=headers)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_page_that_sends_no_origin(client, site):
    """An image or a link of another page."""
    assert "Sec-Fetch-Site" in client.refused(
        "GET", "/datastore/image", headers=OWN | {"sec-fetch-site": site}
    )


def test_websocket_is_closed(client):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(client.guard({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    "given", [None, "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer \xff"]
)
def test_without_the_token(client, given):
    headers = {"host": OWN["host"]} | ({"authorization": given} if given else {})
    for words in (("GET", "/info/"), ("GET", "/datastore/image"), ("GET", "/auth/token/valid")):
        assert "token" in client.refused(*words, status=401, headers=headers)


def test_login_as_slicer_does_it(client):
    """It asks whether a login exists, sends a name and a password, and then uses the token returned."""
    bare = {"host": OWN["host"]}
    assert client.ask("GET", "/auth/", headers=bare)[1]["enabled"] is True
    form = {"username": "anyone", "password": "wrong", "grant_type": "password"}
    kind = "application/x-www-form-urlencoded"
    client.refused("POST", "/auth/token", status=401, headers=bare, kind=kind, body=urlencode(form).encode())
    form["password"] = TOKEN
    status, token = client.ask("POST", "/auth/token", headers=bare, kind=kind, body=urlencode(form).encode())
    assert status == 200
    given = bare | {"authorization": f"{token['token_type']} {token['access_token']}"}
    assert client.ask("GET", "/auth/token/valid", headers=given)[0] == 200
    assert client.ask("GET", "/info/", headers=given)[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/model/cotr"),
        ("DELETE", "/model/cotr"),
        ("GET", "/model/cotr"),
        ("POST", "/reload"),
        ("GET", "/proxy/dicom/x"),
        ("GET", "/logs/"),
        ("GET", "/"),
        ("DELETE", "/datastore/"),
        ("POST", "/batch/infer/cotr"),
        ("DELETE", "/session/.."),
        ("DELETE", "/session/../../x"),
        ("POST", "/infer/wsi/cotr"),
        ("POST", "/train/../x"),
        ("PATCH", "/info/"),
    ],
)
def test_requests_that_slicer_does_not_make(client, method, path):
    assert "not served" in client.refused(method, path)


LEAVING = [
    "../../evil",
    "..",
    "a/../../b",
    "/etc/passwd",
    "..\\evil",
    "\\\\host\\x",
    "C:\\x",
    "~/x",
    "a\0b",
    "file:///x",
]


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("PUT", "/datastore/", "image"),
        ("PUT", "/datastore/label", "tag"),
        ("GET", "/datastore/label", "label"),
        ("POST", "/infer/cotr", "session_id"),
    ],
)
def test_names_that_leave_the_data_folder(client, method, path, key, name):
    assert "leaves its folder" in client.refused(method, path, f"{key}={quote(name, safe='')}")
    assert "leaves its folder" in client.refused(method, path, f"{key}=good&{key}={quote(name, safe='')}")


@pytest.mark.parametrize("name", ["case 1", "a..b", "sub/case", "Müller", "x.y.z", ""])
def test_names_that_stay_inside(client, name):
    assert client.ask("GET", "/datastore/image", f"image={quote(name)}")[0] == 200


def test_archives_are_not_unpacked(client):
    assert "uncompress" in client.refused("PUT", "/session/", "uncompress=true")


@pytest.mark.parametrize(
    "value",
    [
        *({"label_tag": name} for name in LEAVING),
        {"device": "$__import__('os').system('true')"},
        {"max_epochs": "@run"},
        {"tracking_uri": "%/x.json::y"},
        {"device": " $1"},
        {"max_epochs": {"_target_": "os.system", "command": "true"}},
        {"deep": [[{"x": ["$1"]}]]},
        {"$x": 1},
    ],
)
def test_values_that_leave_or_run(client, value):
    body = json.dumps(value).encode()
    assert "body: " in client.refused("POST", "/train/cotr", body=body, kind="application/json")


def test_values_that_slicer_sends(client):
    value = {"max_epochs": 5, "device": "cpu", "label_info": [{"name": "kidney/left", "color": [0.5, 1]}]}
    body = json.dumps(value).encode()
    assert client.ask("POST", "/train/cotr", body=body, kind="application/json")[0] == 200
    assert client.app.body == body


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff", b"{'a': 1}"])
def test_bodies_that_are_not_json(client, body):
    client.refused("POST", "/train/cotr", status=400, body=body, kind="application/json", piece=9999)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None, ""])
def test_bodies_of_other_types(client, kind):
    client.refused("POST", "/infer/cotr", status=415, body=b"params={}", kind=kind)


def test_bodies_without_an_end(client):
    body = b'{"a": "' + b"x" * (1 << 20) + b'"}'
    client.refused("POST", "/train/cotr", status=413, body=body, kind="application/json", piece=1 << 16)


def form(*parts: tuple[str, bytes], boundary: str = "----limit_$") -> tuple[str, bytes]:
    body = b""
    for disposition, content in parts:
        head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
        body += head.encode() + content + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


SCAN = ('name="file"; filename="/home/a/case 1.nii.gz"', b"\0voxels\r\n--" * 20)


@FORMS
@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_uploads_pass_unchanged(client, piece):
    kind, body = form(('name="params"', b'{"client_id": "user-xyz"}'), SCAN)
    assert client.ask("PUT", "/datastore/", "image=case", kind=kind, body=body, piece=piece)[0] == 200
    assert client.app.body == body


@FORMS
@pytest.mark.parametrize(
    "name",
    [
        "main.py",
        "x.nii.gz.py",
        "a.so",
        "noending",
        "",
        "..",
        "a/..",
        "datastore_v2.json",
        "x.pth",
    ],
)
def test_uploads_that_are_not_images(client, name):
    kind, body = form(('name="params"', b"{}"), (f'name="file"; filename="{name}"', b"import os"))
    assert "upload: " in client.refused("PUT", "/datastore/", "image=case", kind=kind, body=body)


@FORMS
@pytest.mark.parametrize(
    "text", [b'{"label_tag": "../../x"}', b'{"device": "$1"}', b'{"a": {"_target_": "x"}}']
)
def test_values_beside_an_upload(client, text):
    kind, body = form(SCAN, ('name="params"', text))
    assert "params: " in client.refused("POST", "/infer/cotr", "image=a", kind=kind, body=body)


@FORMS
@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=x; charset=utf-16", b"--x--", 400),
        ("multipart/form-data; boundary=x", b"no boundary here", 400),
        (*form(('name="params"', b"\xff\xfe{}")), 400),
        (*form(('name="params"', b"not json")), 400),
        (*form(('name="params"', b'"' + b"x" * (1 << 20) + b'"')), 413),
    ],
)
def test_malformed_uploads(client, kind, body, status):
    client.refused("PUT", "/datastore/", "image=a", status=status, kind=kind, body=body, piece=1 << 16)
