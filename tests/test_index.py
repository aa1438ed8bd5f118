"""The index, the README's table and the folders name the same bundles."""

from __future__ import annotations

import json

from common.recipes.checkout import differences, lists_as_text
from common.registry.entries import facts_of
from tests.contract.bundle import NAMES, ROOT, Bundle

INDEX = json.loads((ROOT / "bundle_index.json").read_text())


def test_the_index_has_every_bundle_at_its_version():
    assert sorted(INDEX) == [f"{name}_v{Bundle(name).metadata['version']}" for name in NAMES]


def test_the_index_matches_the_metadata():
    """With the keys of a published index (common.registry.entries), so that one reader reads both."""
    for key, entry in INDEX.items():
        bundle = Bundle(key.rsplit("_v", 1)[0])
        assert entry == {"folder": f"bundles/{bundle.name}", **facts_of(bundle.metadata)}


def test_the_readme_lists_every_bundle():
    page = (ROOT / "README.md").read_text()
    _, _, *rows = page.partition("<!-- bundles -->\n")[2].partition("\n<!-- /bundles -->")[0].splitlines()
    assert len(rows) == len(NAMES)
    for name, row in zip(NAMES, rows, strict=True):
        assert f"| [{name}](bundles/{name}/docs/README.md) |" in row
        assert Bundle(name).metadata["reference"] in row


def test_both_are_written_by_make_configs():
    assert differences(lists_as_text({})) == []
