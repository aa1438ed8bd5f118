from __future__ import annotations

import pytest

from common.errors import InputError
from common.new.__main__ import main
from common.new.gaps import gaps
from common.recipes.checkout import bundles_with_recipe


@pytest.mark.parametrize("bundle", bundles_with_recipe())
def test_no_bundle_has_a_gap(bundle):
    assert gaps(bundle) == []


def test_unknown_bundle():
    with pytest.raises(InputError, match=r"nonesuch: no such bundle; there are: .*cotr"):
        gaps("nonesuch")


def test_gaps_are_found_everywhere(tmp_path):
    texts = {
        "bundles/toy/recipe.json": '{"a": "Of (to fill: authors); by us",\n "b": "to fill: a (small) name"}',
        "bundles/toy/configs/train.json": '{"b": "to fill: a name"}',
        "bundles/toy/docs/README.md": "(to fill: for whom)  Not for diagnosis.\n\nto fill: more\n",
        "bundles/toy/toy/network.py": '"""Toy (to fill: venue).\n\nto fill: the figure\n"""\n',
        "tests/bundles/toy/test_network.py": "# to fill: a test\n",
        "benchmarks/speed/bundles/toy.py": "# to fill: a step\n",
    }
    for place, text in texts.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    assert gaps("toy", tmp_path) == [
        "benchmarks/speed/bundles/toy.py:1: a step",
        "bundles/toy/recipe.json:1: authors",
        "bundles/toy/recipe.json:2: a (small) name",
        "bundles/toy/docs/README.md:1: for whom",
        "bundles/toy/docs/README.md:3: more",
        "bundles/toy/toy/network.py:1: venue",
        "bundles/toy/toy/network.py:3: the figure",
        "tests/bundles/toy/test_network.py:1: a test",
    ]


def test_check_of_a_bundle_without_gaps(capsys):
    main("cotr", check=True)
    assert capsys.readouterr().out.startswith("0 gaps to fill")


@pytest.mark.parametrize("options", [{}, {"like": "cotr", "check": True}])
def test_exactly_one_of_like_and_check(options):
    with pytest.raises(InputError, match="give either --like BUNDLE or --check"):
        main("throwaway", **options)
