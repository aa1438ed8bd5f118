"""``python -m common.registry``: list, pack, index, get, verify, verify-bundle."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from common.bundles import bundle_folder, bundle_names
from common.commands import run_commands
from common.downloads.download import Patience
from common.errors import InputError, printable
from common.registry.entries import facts_of, split_key
from common.registry.fetch import get as fetch
from common.registry.fetch import read_index
from common.registry.index import index as write_index
from common.registry.lock import LOCK
from common.registry.pack import pack as pack_one
from common.registry.text_table import aligned
from common.registry.verify import verify as verify_one
from common.registry.zoo_checks import check_bundle, require_packages


def list_bundles(index: str | None = None) -> None:
    """Print the bundles of this checkout, or those of an index.

    Args:
        index: URL or path of bundle_index.json, or of its folder.
    """
    if index is not None:
        _, entries = read_index(str(index))
        found = [(*split_key(key), entry) for key, entry in entries.items()]
    else:
        found = []
        for name in bundle_names():
            metadata = json.loads((bundle_folder(name) / "configs" / "metadata.json").read_text())
            found.append((name, metadata["version"], facts_of(metadata)))
    rows = [
        (
            name,
            version,
            facts.get("modality", ""),
            f"{facts.get('dimensions', '?')}D",
            facts.get("task", ""),
        )
        for name, version, facts in sorted(found, key=lambda one: one[:2])
    ]
    if rows:
        print(aligned(rows))


def pack(*names: str, target: str = "dist", all: bool = False) -> None:
    """Write NAME_v<version>.zip for the named bundles.

    Args:
        names: the bundles.
        target: folder for the zips.
        all: every bundle of the checkout.
    """
    if bool(names) == all:
        raise InputError("pack: name the bundles, or give --all and no name")
    for name in bundle_names() if all else names:
        print(pack_one(str(name), str(target)))


def index(folder: str, base_url: str, org: str = "method-zoo") -> None:
    """Write bundle_index.json, index.html, pictures/ and hf/ beside the zips of a folder.

    Args:
        folder: holds the zips.
        base_url: where the folder will be served.
        org: owner of the repositories below hf/.
    """
    entries = write_index(str(folder), str(base_url), org=str(org))
    print(f"{Path(str(folder)) / 'bundle_index.json'}: {len(entries)} bundles; look at index.html")


def get(
    name: str,
    index: str,
    version: str | None = None,
    sha256: str | None = None,
    lock: bool = False,
    bundle_dir: str = ".",
    timeout: float = Patience.timeout,
    attempts: int = Patience.attempts,
) -> None:
    """Fetch a bundle, check it against the index, unpack it into BUNDLE_DIR/NAME.

    Args:
        name: the bundle.
        index: URL or path of bundle_index.json, or of its folder.
        version: by default the one in the lock file, else the newest.
        sha256: that the zip must have, from a source other than the server.
        lock: fetch what ./method-zoo.lock says, or add the bundle to it if it is new there.
        bundle_dir: where bundles lie.
        timeout: seconds without progress after which a connection is given up.
        attempts: connections in all, before giving up.
    """
    if not (isinstance(timeout, int | float) and timeout > 0 and isinstance(attempts, int) and attempts > 0):
        raise InputError(f"get: timeout {timeout}, attempts {attempts}; expected numbers above 0")
    folder = fetch(
        str(name),
        str(index),
        version=None if version is None else str(version),
        sha256=None if sha256 is None else str(sha256),
        lock=LOCK if lock else None,
        bundle_dir=str(bundle_dir),
        patience=Patience(timeout=timeout, attempts=attempts),
    )
    print(f"{folder}: checked and unpacked; its commands are in docs/README.md")


def verify(*zips: str, index: str | None = None) -> None:
    """Check packed bundles, also against an index if one is given.

    Args:
        zips: files as pack writes them.
        index: URL or path of bundle_index.json, or of its folder.
    """
    if not zips:
        raise InputError("verify: name one zip or more")
    entries = None if index is None else read_index(str(index))[1]
    for one in map(str, zips):
        key = Path(one).stem
        if entries is not None and key not in entries:
            raise InputError(f"{one}: the index has no {key}; it has: {', '.join(sorted(entries))}")
        verify_one(one, None if entries is None else entries[key])
        print(f"{one}: good")


def verify_bundle(*bundles: str, all: bool = False) -> None:
    """Run the checks of the model zoo on bundles, and print them as one table.

    Args:
        bundles: names in this checkout (they are packed and unpacked first), zips, or folders.
        all: every bundle of the checkout.
    """
    if bool(bundles) == all:
        raise InputError("verify-bundle: name bundles, zips or folders, or give --all and no name")
    require_packages()
    findings = [
        finding
        for one in (bundle_names() if all else bundles)
        for finding in check_bundle(str(one), say=lambda text: print(text, file=sys.stderr, flush=True))
    ]
    print(aligned([("bundle", "check", "result", "time", "remark"), *(finding.row for finding in findings)]))
    failed = [f"{finding.bundle}: {finding.check}" for finding in findings if finding.result == "FAILED"]
    if failed:
        raise InputError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}")


if __name__ == "__main__":
    commands = {
        "list": list_bundles,
        "pack": pack,
        "index": index,
        "get": get,
        "verify": verify,
        "verify-bundle": verify_bundle,
    }
    try:
        run_commands(commands, name="python -m common.registry")
    except InputError as error:  # it may quote an index or a server
        sys.exit(f"error: {printable(str(error))}")
