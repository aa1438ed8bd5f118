"""``get --sha256`` and ``get --lock``: a digest that comes from elsewhere than the server of the zip."""

from __future__ import annotations

import json
import os

import pytest

from common.downloads.download import Patience
from common.errors import InputError
from common.registry.archive import digests
from common.registry.fetch import get
from common.registry.index import index
from common.registry.pack import pack
from tests.common.registry import toy
from tests.contract.bundle import ROOT, Shell

QUICK = Patience(timeout=1, attempts=1)


@pytest.fixture
def dist(tmp_path):
    return toy.dist(tmp_path, ".")


def fetch(dist, tmp_path, target="first", **options):
    options = {"lock": tmp_path / "project.lock", **options}
    return get("toy", str(dist), bundle_dir=tmp_path / target, patience=QUICK, **options)


def republish(dist, tmp_path, version="0.1.0"):
    """The server's owner replaces a zip, with an index to match, or adds a version."""
    root = toy.checkout(
        tmp_path / "changed" / version, version=version, task="Segmentation of something else"
    )
    pack("toy", dist, root=root)
    index(dist, ".")


def digest(dist, version="0.1.0"):
    return digests(dist / f"toy_v{version}.zip")["sha256"]


def test_first_fetch_writes_the_lock(dist, tmp_path):
    fetch(dist, tmp_path)
    locked = json.loads((tmp_path / "project.lock").read_text())
    assert locked == {"toy": {"version": "0.1.0", "sha256": digest(dist)}}


def test_replaced_zip_is_refused_before_it_is_fetched(dist, tmp_path):
    fetch(dist, tmp_path)
    before = (tmp_path / "project.lock").read_bytes()
    republish(dist, tmp_path)
    fetch(dist, tmp_path, "without a lock", lock=None)
    with pytest.raises(InputError, match=r"project\.lock says [0-9a-f]{64}; this is another zip"):
        fetch(dist, tmp_path, "second")
    assert not (tmp_path / "second").exists()
    assert (tmp_path / "project.lock").read_bytes() == before


def test_locked_version_is_fetched_though_there_is_a_newer_one(dist, tmp_path):
    fetch(dist, tmp_path)
    republish(dist, tmp_path, "0.2.0")
    folder = fetch(dist, tmp_path, "second")
    assert json.loads((folder / "configs/metadata.json").read_text())["version"] == "0.1.0"
    with pytest.raises(InputError, match=r"toy is locked to 0\.1\.0, not 0\.2\.0; remove its entry"):
        fetch(dist, tmp_path, "third", version="0.2.0")


def test_other_bundles_of_the_lock_stay(dist, tmp_path):
    other = {"other": {"version": "1.0.0", "sha256": "ab" * 32}}
    (tmp_path / "project.lock").write_text(json.dumps(other))
    fetch(dist, tmp_path)
    assert json.loads((tmp_path / "project.lock").read_text()).items() > other.items()


def test_failed_fetch_locks_nothing(dist, tmp_path):
    (dist / "toy_v0.1.0.zip").write_bytes(b"zip")
    with pytest.raises(InputError):
        fetch(dist, tmp_path)
    assert not (tmp_path / "project.lock").exists()


DAMAGED = [
    *("{", "[]", "[" * 10_000, "\ud800", '{"toy": 1}', '{"toy": {"version": "0.1.0"}}'),
    *('{"toy": {"version": "1", "sha256": "0"}}', '{"toy": {"version": "0.1.0", "sha256": "0"}}'),
]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_lock_is_refused_and_kept(content, dist, tmp_path):
    (tmp_path / "project.lock").write_text(content, errors="surrogatepass")
    before = (tmp_path / "project.lock").read_bytes()
    with pytest.raises(InputError):
        fetch(dist, tmp_path)
    assert (tmp_path / "project.lock").read_bytes() == before
    assert not (tmp_path / "first").exists()


def test_lock_that_cannot_be_written(dist, tmp_path):
    """Then the bundle would be there, and not held to anything the next time."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot"):
        fetch(dist, tmp_path, lock=tmp_path / "file" / "project.lock")
    assert not (tmp_path / "first").exists()


@pytest.mark.parametrize("upper", [False, True])
def test_true_digest(upper, dist, tmp_path):
    sha256 = digest(dist).upper() if upper else digest(dist)
    assert (fetch(dist, tmp_path, lock=None, sha256=sha256) / "LICENSE").is_file()


@pytest.mark.parametrize(
    ("sha256", "message"),
    [("0" * 64, r"--sha256 says 0{64}; this is another zip"), ("12ab", "'12ab' is no SHA-256; expected 64")],
)
def test_other_digest(sha256, message, dist, tmp_path):
    with pytest.raises(InputError, match=message):
        fetch(dist, tmp_path, lock=None, sha256=sha256)
    assert not (tmp_path / "first").exists()


def test_digest_that_contradicts_the_lock(dist, tmp_path):
    fetch(dist, tmp_path)
    with pytest.raises(InputError, match=r"locked to [0-9a-f]{64}, not 0{64}"):
        fetch(dist, tmp_path, "second", sha256="0" * 64)


def test_commands(dist, tmp_path):
    """The lock lies in the folder where the command is given."""
    shell = Shell(tmp_path, tmp_path)
    words = ("-m", "common.registry", "get", "toy", "--index", dist)

    def told(*more):
        return shell.python(*words, *more, path=ROOT, fresh=True)

    told("--lock", "false", "--bundle_dir", "a").ok()
    assert not os.path.exists(tmp_path / "method-zoo.lock")
    told("--lock", "--bundle_dir", "b").ok()
    assert json.loads((tmp_path / "method-zoo.lock").read_text())["toy"]["sha256"] == digest(dist)
    republish(dist, tmp_path)
    assert "method-zoo.lock says" in told("--lock", "yes", "--bundle_dir", "c").error()
    assert "--sha256 says" in told("--sha256", "ab" * 32, "--bundle_dir", "c").error()
    assert (
        "--lock 'maybe': not a boolean; expected one of: true, false"
        in told("--lock", "maybe", "--bundle_dir", "c").error()
    )
