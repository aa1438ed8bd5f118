"""Published weights against their published Dice, over a local server."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest
import torch

from common.bundles import parse_config
from common.checkpoints import acceptance
from common.checkpoints.published import PublishedFile, PublishedWeights
from common.checkpoints.source_file import identity_of
from common.errors import InputError
from common.phantoms import atrium
from tests.common.downloads.servers import serving

WIDTHS = "--network_def#widths [2,2,2,2,2]"
EVALUATE = "--patch_size [32,16,16] --stride [16,16,16] --num_labelled 2 --device cpu"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Two files behind a server, in the authors' names, scored on two data sets."""
    from mcnet_plus import checkpoint

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(checkpoint, "from_authors", dict)
    folder = tmp_path / "served"
    folder.mkdir()
    network = parse_config("mcnet_plus", **{"network_def#widths": [2, 2, 2, 2, 2]})
    torch.manual_seed(0)
    torch.save(network.get_parsed_content("network_def").state_dict(), folder / "best.pth")
    with serving(folder) as server:

        def publish(**changed):
            shared = {
                "file": "best.pth",
                "link": "https://example.org",
                "url": f"{server.url}/best.pth",
                "what": "an atrium",
                "terms": "MIT",
                "git_blob": identity_of(folder / "best.pth").git_blob,
                "dice": 0.9,
                "dataset": "la2018",
                "options": WIDTHS,
                "test_plan": {"intensity": [{"scheme": "as_is"}]},
                "overlays": ["paper"],
                "evaluate_options": EVALUATE,
            }
            files = [
                PublishedFile(name="a", **shared | changed),
                PublishedFile(name="b", **shared | {"dataset": "acdc"}),
            ]
            monkeypatch.setattr(acceptance, "published_weights", lambda _: PublishedWeights("", files))
            return server

        yield publish


@pytest.fixture
def scored(monkeypatch):
    """Evaluations that write a table in no time; the commands that ran."""
    commands = []

    def use(dice, code=0):
        def run(command, **_):
            commands.append(command)
            if code == 0:
                folder = Path(command[command.index("--output_dir") + 1])
                folder.mkdir(parents=True, exist_ok=True)
                with (folder / "evaluation_summary.csv").open("w", newline="") as file:
                    csv.writer(file).writerows(
                        [["name", "dice_mean"], ["atrium", 0], ["mean over classes", dice]]
                    )
            return subprocess.CompletedProcess(command, code)

        monkeypatch.setattr(acceptance.subprocess, "run", run)
        return commands

    return use


@pytest.fixture
def data(tmp_path):
    (tmp_path / "LA").mkdir()
    (tmp_path / "LA" / "dataset.json").write_text("{}")
    return str(tmp_path / "LA")


def test_the_published_dice_is_good(published, scored, data, tmp_path):
    server = published()
    commands = scored(0.8961)
    told = acceptance.accept("mcnet_plus", target=str(tmp_path / "kept"), la2018=data)
    assert told.splitlines() == [
        "a: Dice 0.8961, published Dice 0.9000: good",
        "b: imported, published Dice 0.9000, not scored: give --acdc FOLDER",
    ]
    words = commands[0]
    configs = words[words.index("--config_file") + 1]
    assert [Path(name.strip("[]' ")).name for name in configs.split(",")] == [
        "train.json",
        "paper.json",
        "evaluate.json",
    ]
    assert words[words.index("--dataset_dir") + 1] == data
    assert words[words.index("--network_def#widths") + 1] == "[2, 2, 2, 2, 2]"
    assert words[words.index("--stride") + 1] == "[16, 16, 16]"
    models = tmp_path / "kept" / "mcnet_plus" / "a" / "models"
    assert '"as_is"' in (models / "plan.json").read_text()
    seen = len(server.seen)
    acceptance.accept("mcnet_plus", target=str(tmp_path / "kept"), la2018=data)
    assert len(server.seen) == seen == 1, "fetched once for both, and not again"


def test_another_dice_is_an_error(published, scored, data, tmp_path):
    published()
    scored(0.8949)
    with pytest.raises(InputError, match=r"1 of 2 score otherwise than published: a: Dice 0\.8949"):
        acceptance.accept("mcnet_plus", target=str(tmp_path / "kept"), la2018=data)


def test_an_evaluation_that_fails(published, scored, data, tmp_path):
    published()
    scored(0.9, code=1)
    with pytest.raises(InputError, match="a: the evaluation failed"):
        acceptance.accept("mcnet_plus", target=str(tmp_path / "kept"), la2018=data)


def test_another_file_is_not_scored(published, scored, data, tmp_path):
    published(git_blob="0" * 40)
    commands = scored(0.9)
    with pytest.raises(InputError, match="git blob is"):
        acceptance.accept("mcnet_plus", target=str(tmp_path / "kept"), la2018=data)
    assert not commands


def test_other_weights_in_the_place_are_not_taken(published, scored, data, tmp_path):
    published()
    scored(0.9)
    models = tmp_path / "kept" / "mcnet_plus" / "a" / "models"
    models.mkdir(parents=True)
    torch.save({"weight": torch.ones(1)}, models / "model.pt")
    with pytest.raises(InputError, match="are other weights"):
        acceptance.accept("mcnet_plus", target=str(tmp_path / "kept"), la2018=data)


def test_data_are_looked_at_before_anything_is_fetched(published, tmp_path):
    server = published()
    with pytest.raises(
        InputError, match="--kits21: no listed weights of mcnet_plus are scored on it; expected: --la2018"
    ):
        acceptance.accept("mcnet_plus", kits21=str(tmp_path))
    with pytest.raises(
        InputError, match=r"has no dataset\.json; expected the folder that .* prepare la2018 wrote"
    ):
        acceptance.accept("mcnet_plus", la2018=str(tmp_path))
    assert not server.seen


def test_a_bundle_without_listed_scores():
    with pytest.raises(InputError, match="cotr: no listed weights have a direct link and a published Dice"):
        acceptance.accept("cotr")


@pytest.mark.full
def test_the_whole_way_with_a_real_evaluation(published, tmp_path, capfd):
    """Fetched, imported, evaluated on a phantom by the bundle's own configs; untrained weights score low."""
    published()
    data = atrium.make(
        tmp_path / "LA", training=4, labelled=2, validation=1, test=1, shape=(32, 24, 16), spacing=(4.0,) * 3
    )
    with pytest.raises(
        InputError, match=r"1 of 2 score otherwise than published: a: Dice 0\.\d+, published Dice 0\.9000"
    ):
        acceptance.accept("mcnet_plus", target=str(tmp_path / "kept"), la2018=str(data))
    said = [line for line in capfd.readouterr().err.splitlines() if "imported weights (" in line]
    assert len(said) == 1
    assert "model.pt: imported weights (mcnet_plus, an atrium) from http://127.0.0.1:" in said[0]
