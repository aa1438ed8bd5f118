"""The bundles' lists of published weights."""

from __future__ import annotations

import re

import pytest

from common.bundles import bundle_names, parse_config
from common.checkpoints.published import options_of, published_weights, sources
from common.errors import InputError


@pytest.mark.parametrize("name", bundle_names())
def test_every_list_is_complete(name):
    known = published_weights(name)
    assert known.about
    names = [file.name for file in known.files]
    assert len(set(names)) == len(names)
    for file in known.files:
        assert re.fullmatch(r"[a-z0-9_]+", file.name)
        assert file.file
        assert file.what
        assert file.terms
        assert file.link.startswith("https://")
        assert file.url.startswith("https://") or not file.url
        assert re.fullmatch(r"[0-9a-f]{40}|", file.git_blob)
        assert (file.dice is None) == (not file.dataset)
        assert options_of(file.options) or not file.options
        assert options_of(file.evaluate_options) or not file.evaluate_options
        default = parse_config(name).get("plan#default")
        assert set(file.plan) | set(file.test_plan) <= {*default, "image_size"}


@pytest.mark.parametrize(
    ("name", "files"), [("mcnet_plus", 6), ("vptta", 2), ("grata", 1), ("kits21", 1), ("lefed", 1)]
)
def test_numbers_of_files(name, files):
    assert len(published_weights(name).files) == files


def test_the_six_files_of_mcnet_plus_have_their_digests_and_scores():
    files = published_weights("mcnet_plus").files
    assert [file.dice for file in files] == [0.8896, 0.9107, 0.7000, 0.7937, 0.8710, 0.8851]
    assert len({file.git_blob for file in files}) == len({file.url for file in files}) == 6
    assert [file.dataset for file in files] == [
        "la2018",
        "la2018",
        "pancreas_ct",
        "pancreas_ct",
        "acdc",
        "acdc",
    ]


@pytest.mark.full
@pytest.mark.parametrize("name", bundle_names())
def test_the_options_build_a_network(name):
    for file in published_weights(name).files:
        assert parse_config(name, **options_of(file.options)).get_parsed_content("network_def").state_dict()


def test_sources_prints_what_there_is():
    told = sources("vptta", "lefed", "cotr")
    assert "https://drive.google.com/drive/folders/1WWRbFLN3ELGbNs9jnl5bt4bIHuha8jWw?usp=drive_link" in told
    line = "python -m common.checkpoints import --bundle vptta --entry polyp --source pretrain-PraNet.pth"
    assert f"    import: {line}" in told
    assert "    options: --network_def#_target_ vptta.network.PolypNet --num_classes 2" in told
    assert "extraction code is printed nowhere" in told
    assert "--bundle lefed" not in told, "nobody can get that file"
    assert "cotr: the authors publish none" in told


def test_sources_of_nothing_and_of_an_unknown_bundle():
    with pytest.raises(InputError, match="name one bundle or more"):
        sources()
    with pytest.raises(InputError, match="bundle nonesuch: unknown"):
        sources("nonesuch")


def test_options_as_on_a_command_line():
    words = "--network_def \"{'_target_':'a.B','out_channels':4}\" --softmax True --size [96,96]"
    assert options_of(words) == {
        "network_def": {"_target_": "a.B", "out_channels": 4},
        "softmax": True,
        "size": [96, 96],
    }
    assert options_of("") == {}
    for wrong in ("--a", "a b", "--a 1 2"):
        with pytest.raises(InputError, match="expected --KEY VALUE"):
            options_of(wrong)
