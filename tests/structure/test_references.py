"""Wherever code, tests and pages say ``cotr/docs/method.md#network``, that heading exists."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = re.compile(r"(?:(\w+|\{\{name\}\})/)?\bdocs/method\.md#([\w-]+)")
LINK = re.compile(r"\]\((?:\.\./\.\./(\w+)/docs/)?(?:method\.md)?#([\w-]+)\)")
#: Headings that every method page has.
HEADINGS = {
    "paper",
    "network",
    "data",
    "recipe",
    "inference",
    "evaluation",
    "known-errors-of-the-published-code",
    "how-to-know-it-works",
}
BUNDLES = sorted(path.parent.name for path in ROOT.glob("bundles/*/configs"))


def anchor(heading: str) -> str:
    """A heading's anchor as on GitHub: lower case, punctuation dropped, spaces to hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def anchors(bundle: str) -> frozenset[str]:
    page = ROOT / "bundles" / bundle / "docs" / "method.md"
    if bundle == "{{name}}":
        page = ROOT / "common" / "new" / "templates" / "method.md.template"
    return frozenset(
        anchor(line.lstrip("#")) for line in page.read_text().splitlines() if line.startswith("#")
    )


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py", "*.md", "*.json", "*.template"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


def test_references_to_a_method_resolve():
    found, missing = 0, []
    for file in tracked():
        for bundle, target in REFERENCE.findall(file.read_text()):
            found += 1
            known = HEADINGS if not bundle else anchors(bundle) if bundle in (*BUNDLES, "{{name}}") else ()
            if target not in known:
                missing.append(f"{file.relative_to(ROOT)}: {bundle}/docs/method.md#{target}")
    assert not missing
    assert found >= len(BUNDLES)


def test_no_source_is_a_page_that_the_project_lacks():
    """``card cotr, Network`` named pages that a reader cannot open."""
    pattern = re.compile(rf"\bcards? (?:{'|'.join(BUNDLES)}|data_\w+|shared_\w+)\b", re.IGNORECASE)
    strays = [
        f"{file.relative_to(ROOT)}: {found[0]}"
        for file in tracked()
        if file != Path(__file__).resolve()
        for found in [pattern.search(file.read_text())]
        if found
    ]
    assert not strays


@pytest.mark.parametrize("bundle", BUNDLES)
def test_method_pages_have_the_common_headings(bundle):
    assert not HEADINGS - anchors(bundle)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_links_within_method_pages_lead_to_a_heading(bundle):
    text = (ROOT / "bundles" / bundle / "docs" / "method.md").read_text()
    broken = [(other or bundle, target) for other, target in LINK.findall(text)]
    assert not [pair for pair in broken if pair[1] not in anchors(pair[0])]
