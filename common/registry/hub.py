"""The part of Hugging Face's protocol that downloads a repository, laid out as plain files.

Below ``hf/`` lies what ``huggingface_hub`` asks for, each file at the path of its URL:

    api/models/ORG/NAME/refs                        tags and branches
    api/models/ORG/NAME/revision/REVISION           of a tag, a branch or a commit: its files
    api/models/ORG/NAME/tree/COMMIT                 the same with sizes
    ORG/NAME/resolve/COMMIT/PATH                    a file

A server of this tree ignores query strings and answers GET and HEAD with ``Content-Length`` and
``ETag``, as every server does.  One header is special: below ``resolve/COMMIT/`` answers need
``X-Repo-Commit: COMMIT``; for nginx:

    location ~ ^/[^/]+/[^/]+/resolve/([0-9a-f]+)/ { add_header X-Repo-Commit $1; }

A client reaches it by ``HF_ENDPOINT=URL`` (and ``HF_HUB_DISABLE_XET=1``).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files import write_text
from common.registry.archive import unpack
from common.registry.entries import newest, split_key

__all__ = ["write_hub"]


def write_hub(target: Path, zips: Sequence[Path], entries: Mapping[str, Mapping[str, Any]], org: str) -> None:
    """Write the tree below ``target``; a version is a tag, its commit the SHA-1 of its zip.

    Args:
        target: the folder ``hf``, new.
        zips: packed bundles, already verified.
        entries: of the index, by key.
        org: owner of all repositories.
    """
    versions: dict[str, dict[str, str]] = defaultdict(dict)
    for path in zips:
        name, version = split_key(path.stem)
        versions[name][version] = entries[path.stem]["checksum"]
        _write_version(target, path, org, name, version, versions[name][version])
    for name, commits in versions.items():
        _write_refs(target / "api" / "models" / org / name, commits)


def _write_version(root: Path, path: Path, org: str, name: str, version: str, commit: str) -> None:
    resolve = root / org / name / "resolve"
    unpack(path, resolve, name)
    (resolve / name).rename(resolve / commit)
    files = sorted(file for file in (resolve / commit).rglob("*") if file.is_file())
    tree = [
        {
            "type": "file",
            "path": file.relative_to(resolve / commit).as_posix(),
            "size": file.stat().st_size,
            "oid": hashlib.sha1(file.read_bytes()).hexdigest(),
        }
        for file in files
    ]
    api = root / "api" / "models" / org / name
    _write(api / "tree" / commit, tree)
    info = {
        "id": f"{org}/{name}",
        "modelId": f"{org}/{name}",
        "sha": commit,
        "private": False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": [{"rfilename": one["path"]} for one in tree],
    }
    for revision in (version, commit):
        _write(api / "revision" / revision, info)


def _write_refs(api: Path, commits: Mapping[str, str]) -> None:
    last = newest(commits)
    for revision in ("main", "latest_version"):
        shutil.copyfile(api / "revision" / last, api / "revision" / revision)
    # MONAI's client without --version takes the tag latest_version.
    tags = {**commits, "latest_version": commits[last]}
    refs = {
        "branches": [_ref("main", "heads", commits[last])],
        "tags": [_ref(tag, "tags", commit) for tag, commit in tags.items()],
        "converts": [],
    }
    _write(api / "refs", refs)


def _ref(name: str, kind: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}


def _write(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value))
