"""Paper-type configs hold the published recipe, and nothing in them can change unnoticed."""

from __future__ import annotations

from unittest import mock

import pytest
from monai.bundle import ConfigParser

from tests.contract.changes import changed_leaves, removed_keys, with_node
from tests.contract.recipe_table import STANDARD, overlays, required, sections
from tests.contract.resolved import NotPlainError, Resolved, read

pytestmark = pytest.mark.always


def test_every_recipe_has_a_section(bundle):
    """The published one, on train.json, and each overlay of the bundle's own."""
    names = {section.name for section in sections(bundle)}
    assert {name.split(" + ")[-1] for name in names} - STANDARD == overlays(bundle)
    assert "train + paper" in names


def test_configs_hold_the_recipe(bundle):
    for section in sections(bundle):
        if section.is_begun:
            config = Resolved(read(bundle.root / "configs", section.configs))
            found = list(section.differences(config))
            assert not found, "\n".join([section.name, *found])


def test_differences_are_differences_with_a_reason(bundle):
    for section in sections(bundle):
        for path, row in section.differs.items():
            assert row.keys() == {"recipe", "here", "why"}, f"{section.name}: {path}"
            assert row["recipe"] != row["here"], f"{section.name}: {path}: no difference"
        for path, why in section.exempt.items():
            assert len(why.split()) > 1, f"{section.name}: {path}: no reason"
            assert not section.covers(path), f"{section.name}: {path}: exempt and covered"


def test_table_covers_what_the_configs_say(bundle):
    """Every number, word and switch of the overlay, and what it keeps of the config below."""
    everything = sections(bundle)
    for section in filter(lambda section: section.is_begun, everything):
        paths = required(bundle, section, everything)
        assert paths or section.configs[0] == "inference"
        found = [path for path in paths if not (section.covers(path) or section.exempts(path))]
        assert not found, "\n".join([f"{section.name}: neither covered nor exempt:", *found])


def test_any_change_is_noticed(bundle):
    """Each covered leaf of the configs in turn, and each key of the overlay that is left out."""
    for section in filter(lambda section: section.is_begun, sections(bundle)):
        raw = read(bundle.root / "configs", section.configs)
        changes = [*changed_leaves(section, raw), *removed_keys(section, bundle.root / "configs")]
        missed = [what for what, config in changes if not any(section.differences(config))]
        assert changes
        assert not missed, "\n".join([f"{section.name}: a change goes unnoticed:", *missed])


def test_values_that_once_went_unnoticed_are_noticed(bundle):
    for section in sections(bundle):
        raw = read(bundle.root / "configs", section.configs)
        for path, value in section.wrong.items():
            config = Resolved(with_node(raw, path, lambda _, value=value: value))
            assert any(section.differences(config)), f"{section.name}: {path}: {value}"


def test_plain_nodes_are_what_monai_makes_of_them(bundle):
    """References and expressions, each node of the top level that needs nothing to be built."""
    for section in sections(bundle):
        raw = read(bundle.root / "configs", section.configs)
        resolved, parser = Resolved(raw), ConfigParser(raw)
        seen = 0
        with mock.patch("torch.cuda.is_available", return_value=True):
            for key in raw.keys() - {"imports"}:
                try:
                    value = resolved.value(raw[key])
                except NotPlainError:
                    continue
                if not callable(value):
                    assert parser.get_parsed_content(key) == value, f"{section.name}: {key}"
                    seen += 1
        assert seen > 5
