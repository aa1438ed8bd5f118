"""The README's table and the index, from metadata."""

from __future__ import annotations

import json

import pytest

from common.errors import InputError
from common.recipes.overview import index_of, with_table

METADATA = {
    "version": "0.1.0",
    "task": "Segmentation of hearts",
    "references": ["Doe J. Hearts. 2020"],
    "network_data_format": {
        "inputs": {"image": {"modality": "MR", "format": "magnitude", "spatial_shape": [8, 8, 8]}},
        "outputs": {"pred": {"format": "segmentation"}},
    },
}
BUNDLES = {"two": METADATA | {"paradigm": "semi-supervised", "reference": "Two, 2021"}, "one": METADATA}


def test_the_index_is_sorted_and_has_the_keys_of_a_published_one():
    index = json.loads(index_of(BUNDLES))
    assert list(index) == ["one_v0.1.0", "two_v0.1.0"]
    assert index["two_v0.1.0"] == {
        "folder": "bundles/two",
        "task": "Segmentation of hearts",
        "task_type": "segmentation",
        "modality": "MR",
        "dimensions": 3,
        "paradigm": "semi-supervised",
        "reference": "Two, 2021",
        "authors_weights": [],
    }


def test_the_table_replaces_only_the_text_between_its_comments():
    page = "# Zoo\n\n<!-- bundles -->\n| old |\n<!-- /bundles -->\n\nMore.\n"
    written = with_table(page, BUNDLES, {"one"})
    assert written.startswith("# Zoo\n\n<!-- bundles -->\n| ")
    assert written.endswith(" |\n<!-- /bundles -->\n\nMore.\n")
    assert "| old |" not in written
    one, two = [line for line in written.splitlines() if "](bundles/" in line]
    assert 'src="bundles/one/docs/thumbnail.png"' in one
    assert "<img" not in two
    assert "[one](bundles/one/docs/README.md)" in one
    assert "Segmentation of hearts; supervised" in one
    assert "Doe J. Hearts. 2020" in one
    assert "semi-supervised" in two
    assert "Two, 2021" in two
    assert with_table(written, BUNDLES, {"one"}) == written


@pytest.mark.parametrize(
    "page", ["no table", "<!-- bundles -->\nopen", "<!-- /bundles -->\n<!-- bundles -->"]
)
def test_a_page_without_a_place_for_the_table(page):
    with pytest.raises(InputError, match=r"README\.md: the table of bundles stands between <!-- bundles -->"):
        with_table(page, BUNDLES)
