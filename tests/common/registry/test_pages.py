"""A bundle's pages in the catalogue, and the links between them."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import pytest

from common.registry.pages import pages_to_html
from tests.contract.bundle import NAMES, ROOT

TOY = {"card": "# Toy\n\n## Sizes\n", "method": "# Method\n"}


def links(markdown, page="card"):
    """Where the links of a page of ``toy`` lead, beside a bundle ``other`` with a card alone."""
    bundles = {"toy": {**TOY, page: markdown}, "other": {"card": "# Other\n"}}
    found = pages_to_html("toy", {}, bundles)
    return re.findall(r'<a href="([^"]*)"', found)


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("https://e.org/x", "https://e.org/x"),
        ("method.md", "#card=toy&amp;page=method"),
        ("method.md#steps", "#card=toy&amp;page=method&amp;at=steps"),
        ("./method.md", "#card=toy&amp;page=method"),
        ("#sizes", "#card=toy&amp;page=card&amp;at=sizes"),
        ("../../other/docs/README.md#results", "#card=other&amp;page=card&amp;at=results"),
    ],
)
def test_link_within_the_catalogue(target, address):
    assert links(f"[a]({target})") == [address]


@pytest.mark.parametrize(
    "target",
    [
        "data_license.txt",
        "../../../benchmarks/README.md",
        "../../other/docs/method.md",
        "../../third/docs/README.md",
        "javascript:alert(1)",
        "//e.org/x",
        "ftp://e.org/x",
    ],
)
def test_link_that_leads_out_of_it_is_text(target):
    assert links(f"[a]({target})") == []


def test_link_from_the_method_to_itself():
    assert links("[a](#steps) [b](README.md)", "method") == [
        "#card=toy&amp;page=method&amp;at=steps",
        "#card=toy&amp;page=card",
    ]


def test_tabs_where_there_are_two_pages():
    both = pages_to_html("toy", {}, {"toy": TOY})
    assert re.findall(r'role="(tab|tabpanel)"', both) == ["tab", "tab", "tabpanel", "tabpanel"]
    assert len(re.findall(r"<section[^>]* hidden>", both)) == 1
    one = pages_to_html("toy", {}, {"toy": {"card": "# Toy\n"}})
    assert "role" not in one
    assert " hidden" not in one


def test_picture_with_a_name_that_is_no_address():
    found = pages_to_html("toy", {"a #1.png": "pictures/a #1.png"}, {"toy": {"card": "![x](<a #1.png>)"}})
    assert '<img src="pictures/a%20%231.png" alt="x"' in found


def test_links_of_all_bundles_lead_to_a_heading():
    """Of the cards and methods of this checkout."""
    files = {"card": "README.md", "method": "method.md"}
    bundles = {
        name: {
            page: (ROOT / "bundles" / name / "docs" / file).read_text()
            for page, file in files.items()
            if (ROOT / "bundles" / name / "docs" / file).is_file()
        }
        for name in NAMES
    }
    text = "\n".join(pages_to_html(name, {}, bundles) for name in NAMES)
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    targets = [parse_qs(link.replace("&amp;", "&")) for link in re.findall(r'<a href="#([^"]*)"', text)]
    assert len(targets) > len(NAMES)
    named = {
        "/".join(target[key][0] for key in ("card", "page", "at") if key in target) for target in targets
    }
    assert named - set(ids) == set()
