"""What web pages of other origins, names bound to this address, or other programs can do to the server."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

pytest.importorskip("monailabel", reason="MONAI Label is not in this environment: make test-label")

import requests

EVIL = "https://evil.example"


def state(folder: Path) -> dict[str, str]:
    """Every file below a folder, by content, except what the server notes about itself."""
    files = [file for file in folder.rglob("*") if file.is_file() and "logs" not in file.parts]
    files = [file for file in files if file.suffix not in (".lock", ".pyc") and file.name != ".lock"]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def image(server) -> str:
    """The id of a scan or picture."""
    return min(server.scans.glob("[!.]*.*")).name.split(".")[0]


@pytest.fixture
def untouched(server, checkout):
    """No file changes: of the data, of the server, of the checkout, and beside them."""
    before = state(server.scans.parent)
    yield
    assert state(server.scans.parent) == before


def ask(server, method: str, path: str, *, headers=None, **words) -> requests.Response:
    return requests.request(method, f"{server.url}{path}", headers=headers, timeout=60, **words)


def test_page_of_another_origin_reads_nothing(server, image, untouched):
    for headers in ({}, server.headers):
        told = ask(server, "GET", f"/datastore/image?image={image}", headers=headers | {"Origin": EVIL})
        assert told.status_code == 403
        assert not [name for name in told.headers if name.lower().startswith("access-control")]
        asked = {"Origin": EVIL, "Access-Control-Request-Method": "PUT"}
        told = ask(server, "OPTIONS", "/datastore/", headers=headers | asked)
        assert told.status_code == 403
        assert not [name for name in told.headers if name.lower().startswith("access-control")]


def test_its_own_origin_gets_no_more_than_it_needs(server):
    told = ask(server, "GET", "/info/", headers=server.headers | {"Origin": server.url})
    assert told.status_code == 200
    assert told.headers.get("Access-Control-Allow-Origin") in (None, server.url)


def test_name_bound_to_this_address(server, image, untouched):
    port = server.url.rpartition(":")[2]
    for host in (f"evil.example:{port}", "evil.example"):
        told = ask(server, "GET", f"/datastore/image?image={image}", headers=server.headers | {"Host": host})
        assert told.status_code == 403


def test_without_the_token(server, image, untouched):
    for path in ("/info/", f"/datastore/image?image={image}", "/datastore/?output=all"):
        assert ask(server, "GET", path).status_code == 401
    files = {"file": ("evil.nii.gz", b"evil")}
    assert ask(server, "PUT", "/datastore/?image=evil", files=files).status_code == 401


@pytest.mark.parametrize("logged_in", [False, True])
def test_nothing_is_written_outside_the_data_folder(server, image, untouched, logged_in):
    headers = server.headers if logged_in else {"Origin": EVIL}
    code = ("main.py", b"raise SystemExit('evil')")
    picture = ("x.nii.gz", b"evil")
    app = "../monaibundle/main"
    attacks = [
        ("PUT", "/datastore/?image=../evil", {"files": {"file": picture}}),
        ("PUT", f"/datastore/image?image={server.scans.parent}/evil", {"files": {"file": picture}}),
        ("PUT", f"/datastore/?image=../{server.app.name}/monaibundle/main", {"files": {"file": code}}),
        ("PUT", f"/datastore/?image={app}", {"files": {"file": code}}),
        ("PUT", "/datastore/?image=sitecustomize", {"files": {"file": code}}),
        ("PUT", f"/datastore/label?image={image}&tag=../../evil", {"files": {"label": picture}}),
        ("PUT", f"/model/{server.bundle.name}", {"files": {"file": ("model.pt", b"evil")}}),
        ("PUT", "/session/?uncompress=true", {"files": {"files": ("evil.tar", b"evil")}}),
        (
            "POST",
            f"/infer/{server.bundle.name}?image={image}",
            {
                "data": {"params": json.dumps({"save_label": True, "label_tag": "../../evil"})},
                "files": {"x": picture},
            },
        ),
        ("POST", f"/batch/infer/{server.bundle.name}", {"json": {"label_tag": "../../evil"}}),
    ]
    for method, path, words in attacks:
        assert ask(server, method, path, headers=headers, **words).status_code == 403, (method, path)


def test_values_that_a_config_would_run(server, image, tmp_path):
    mark = tmp_path / "ran"
    code = f"$__import__('pathlib').Path({str(mark)!r}).touch()"
    for value in (code, {"_target_": "os.mkdir", "path": str(mark)}):
        for key in ("device", "max_epochs", "tracking_uri"):
            url = f"/train/{server.bundle.name}?run_sync=true"
            told = ask(server, "POST", url, headers=server.headers, json={"tracking": "mlflow", key: value})
            assert told.status_code == 403
            words = {"files": {"params": (None, json.dumps({key: value}))}}
            url = f"/infer/{server.bundle.name}?image={image}"
            assert ask(server, "POST", url, headers=server.headers, **words).status_code == 403
    assert not mark.exists()


def test_legitimate_files_are_still_written(server, image, tmp_path):
    """An upload under a new id, and a session, which is in the server's own folder."""
    scan = next(file for file in server.scans.iterdir() if file.name.startswith(f"{image}."))
    server.client(tmp_path).upload_image(str(scan), "another one")
    (written,) = server.scans.glob("another one*")
    assert written.read_bytes() == scan.read_bytes()
    client = server.client(tmp_path)  # another one, as in Slicer: it keeps the headers of an upload
    session = client.create_session(str(scan))["session_id"]
    assert (server.app / "sessions" / session).is_dir()
    client.remove_session(session)
    written.unlink()
