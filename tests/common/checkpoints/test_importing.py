"""From a link, an archive or a folder of authors to a bundle's weights, their plan and their origin."""

from __future__ import annotations

import argparse
import errno
import json
import zipfile
from pathlib import Path

import pytest
import torch

from common.bundles import parse_config
from common.checkpoints import importing
from common.checkpoints.importing import import_checkpoint
from common.checkpoints.layouts import network_state
from common.checkpoints.origin import Origin, origin_of, with_origin
from common.checkpoints.published import PublishedFile, PublishedWeights
from common.checkpoints.source_file import cache_of, identity_of
from common.checkpoints.store import load_weights, read_checkpoint, save_state
from common.errors import InputError
from tests.common.checkpoints.nnunet_folder import write_plans
from tests.common.downloads.servers import serving

#: A small network of MC-Net+ with the authors' names, and what makes the bundle's as small.
WIDTHS = "[2,2,2,2,2]"
SMALL = {"network_def#widths": [2, 2, 2, 2, 2]}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def identity(monkeypatch):
    """The authors' names are ours, so that a file is quickly made."""
    from mcnet_plus import checkpoint

    monkeypatch.setattr(checkpoint, "from_authors", dict)


def small_state():
    return parse_config("mcnet_plus", **SMALL).get_parsed_content("network_def").state_dict()


@pytest.fixture
def served(tmp_path, identity):
    folder = tmp_path / "served"
    folder.mkdir()
    torch.save(small_state(), folder / "best.pth")
    with serving(folder) as server:
        yield server, folder / "best.pth"


@pytest.fixture
def listed(served, monkeypatch):
    """The list of the bundle with one entry, behind the local server."""
    server, file = served
    entry = {
        "name": "atrium",
        "file": "best.pth",
        "link": "https://example.org/page",
        "url": f"{server.url}/best.pth",
        "what": "left atrium, 8 labelled scans",
        "terms": "MIT",
        "git_blob": identity_of(file).git_blob,
        "options": f"--network_def#widths {WIDTHS}",
        "plan": {"stride": [4, 4, 4]},
        "use": "--network_def#widths " + WIDTHS,
    }

    def publish(**changed):
        known = PublishedWeights("of the authors", [PublishedFile(**entry | changed)])
        monkeypatch.setattr(importing, "published_weights", lambda _: known)
        return known.files[0]

    return publish


def imported(tmp_path, **options):
    return import_checkpoint("mcnet_plus", target=str(tmp_path / "models" / "model.pt"), **options)


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "models").glob("*")) if tmp_path.exists() else []


def test_a_listed_link_brings_its_options_and_its_plan(listed, served, tmp_path, capsys):
    file = listed()
    told = imported(tmp_path, source=file.url)
    sha256 = identity_of(served[1]).sha256
    assert f"{served[1].stat().st_size} bytes, sha256 {sha256}" in told
    assert "digest as it should be" in told
    assert f"predicting needs {file.use}" in told
    assert left(tmp_path) == ["model.pt", "plan.json"]
    plan = json.loads((tmp_path / "models" / "plan.json").read_text())
    assert (plan["stride"], plan["patch_size"], plan["classes"]) == ([4, 4, 4], [112, 112, 80], 2)

    network = parse_config("mcnet_plus", **SMALL).get_parsed_content("network_def")
    capsys.readouterr()
    assert load_weights(network, tmp_path / "models" / "model.pt", bundle="mcnet_plus") == []
    said = capsys.readouterr().out.splitlines()
    what = "imported weights (mcnet_plus, left atrium, 8 labelled scans)"
    path = tmp_path / "models" / "model.pt"
    assert said == [f"{path}: {what} from {file.url}, sha256 {sha256[:12]}; {file.use}"]


def test_the_name_of_an_entry_is_enough(listed, tmp_path):
    listed()
    assert "left atrium, 8 labelled" in imported(tmp_path, entry="atrium")
    with pytest.raises(InputError, match="no published weights called ventricle; expected one of: atrium"):
        imported(tmp_path / "other", entry="ventricle")


def test_a_listed_file_is_known_by_its_digest(listed, served, tmp_path):
    listed()
    assert "(atrium: left atrium" in imported(tmp_path, source=str(served[1]))


def test_another_file_behind_the_link_is_refused_and_not_kept(listed, tmp_path):
    file = listed(git_blob="0" * 40)
    with pytest.raises(
        InputError, match=r"git blob is .* list of published weights says 0{40}.*nothing was imported"
    ):
        imported(tmp_path, entry="atrium")
    assert left(tmp_path) == []
    assert not list(cache_of(file.url).iterdir())


def test_a_digest_of_the_users(served, tmp_path):
    file = served[1]
    with pytest.raises(InputError, match=r"sha256 is .*--sha256 says abc"):
        imported(tmp_path, source=str(file), sha256="ABC", **SMALL)
    assert file.is_file(), "the user's own file stays"
    told = imported(tmp_path, source=str(file), sha256=identity_of(file).sha256, **SMALL)
    assert "digest as it should be" in told


def test_weights_that_are_there_move_away(served, tmp_path):
    imported(tmp_path, source=str(served[1]), **SMALL)
    before = {file.name: file.read_bytes() for file in (tmp_path / "models").iterdir()}
    assert set(before) == {"model.pt", "plan.json"}
    told = imported(tmp_path, source=str(served[1]), **SMALL)
    moved = tmp_path / "models_previous"
    assert f"the earlier weights and their plan are now in {moved}" in told
    assert {file.name: file.read_bytes() for file in moved.iterdir()} == before


def test_a_full_disk_leaves_what_was_there(served, tmp_path, monkeypatch):
    imported(tmp_path, source=str(served[1]), **SMALL)
    before = {file.name: file.read_bytes() for file in (tmp_path / "models").iterdir()}

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("common.checkpoints.importing.write_checkpoint", full)
    with pytest.raises(OSError, match="No space left"):
        imported(tmp_path, source=str(served[1]), **SMALL)
    assert {file.name: file.read_bytes() for file in (tmp_path / "models").iterdir()} == before


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("http://example.org/a.pth", "expected a path or a link that begins with https://"),
        ("ftp://example.org/a.pth", "expected a path or a link that begins with https://"),
        ("https://drive.google.com/file/d/1qj/view", "opens a page, not a file. Open it in a browser"),
        ("https://unisyd-my.sharepoint.com/:f:/g/x", "opens a page, not a file"),
        ("https://[", "is no URL"),
        ("nonesuch.pth", "there is no such file"),
        (None, "give --source FILE_OR_LINK"),
    ],
)
def test_sources_that_cannot_be_read(tmp_path, source, said):
    with pytest.raises(InputError, match=said):
        imported(tmp_path, source=source)
    assert not tmp_path.joinpath("models").exists()


def nnunet_folder(folder, *folds, configuration="3d_fullres"):
    """As nnU-Net's zip holds it."""
    trainer = folder / "nnUNet" / configuration / "Task135_KiTS2021" / "nnUNetTrainerV2__nnUNetPlansv2.1"
    for fold in folds:
        (trainer / f"fold_{fold}").mkdir(parents=True)
        torch.save(
            {"epoch": 1000, "state_dict": small_state()},
            trainer / f"fold_{fold}" / "model_final_checkpoint.model",
        )
        (trainer / f"fold_{fold}" / "model_best.model").write_bytes(b"another")
    write_plans(trainer / "plans.pkl")
    return folder


def zipped(folder):
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder).as_posix())
    return folder.with_suffix(".zip")


@pytest.mark.parametrize("pack", [lambda folder: folder, zipped], ids=["folder", "zip"])
def test_an_nnunet_folder_or_zip_brings_its_plan(identity, tmp_path, pack):
    source = pack(nnunet_folder(tmp_path / "task", 0, 1))
    with pytest.raises(
        InputError, match=r"several checkpoints; choose one with --member .*fold_0/model_final.*fold_1"
    ):
        imported(tmp_path, source=str(source), **SMALL)
    with pytest.raises(InputError, match="no checkpoint with fold_7 in its path; it holds: "):
        imported(tmp_path, source=str(source), member="fold_7", **SMALL)
    assert left(tmp_path) == []
    told = imported(tmp_path, source=str(source), member="fold_1", **SMALL)
    assert "plans.pkl, 3d_fullres: spacing [0.78, 0.7825, 0.78], patch_size [96, 160, 128]" in told
    plan = json.loads((tmp_path / "models" / "plan.json").read_text())
    assert plan["spacing"] == [0.78, 0.7825, 0.78]
    assert plan["patch_size"] == [96, 160, 128]
    assert plan["intensity"] == [{"scheme": "ct", "clip": [-73.0, 304.0], "mean": 104.5, "sd": 75.25}]
    assert plan["stride"] == [18, 18, 4], "what nnU-Net has no word for stays as published"


def test_a_file_beside_its_plans(identity, tmp_path):
    folder = nnunet_folder(tmp_path / "task", 0, configuration="3d_lowres")
    file = next(folder.rglob("model_final_checkpoint.model"))
    assert "plans.pkl, 3d_lowres: spacing [1.99, 1.99, 1.99]" in imported(tmp_path, source=str(file), **SMALL)


def test_a_file_without_its_plans_is_said_to_have_the_bundles(identity, tmp_path):
    folder = nnunet_folder(tmp_path / "task", 0)
    next(folder.rglob("plans.pkl")).unlink()
    told = imported(tmp_path, source=str(folder), **SMALL)
    plan = json.loads((tmp_path / "models" / "plan.json").read_text())
    assert f"no plans.pkl beside the file or one folder up: spacing {plan['spacing']}, patch_size" in told
    assert "may not be those of these weights" in told


def test_an_archive_without_weights(tmp_path):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "readme.txt").write_text("no weights here")
    for source in (tmp_path / "task", zipped(tmp_path / "task")):
        with pytest.raises(InputError, match="holds no checkpoint; expected a file that ends in"):
            imported(tmp_path, source=str(source))


def test_plans_that_hold_code_stop_the_import(identity, tmp_path):
    folder = nnunet_folder(tmp_path / "task", 0)
    next(folder.rglob("plans.pkl")).write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(InputError, match=r"holds a Python object \(os\.system\)"):
        imported(tmp_path, source=str(folder), **SMALL)
    assert left(tmp_path) == []
    assert not Path("ran").exists()


def test_a_command_line_beside_the_weights(tmp_path):
    """Training scripts save what argparse made of theirs."""
    told = argparse.Namespace(lr=0.1, model="tiny", sizes=[1, 2])
    torch.save({"model": {"weight": torch.ones(2)}, "args": told, "epoch": 299}, tmp_path / "a.pth")
    checkpoint = read_checkpoint(tmp_path / "a.pth")
    assert network_state(checkpoint, "a.pth").keys() == {"weight"}
    assert checkpoint["args"] == told


def test_a_network_in_three_parts():
    parts = {
        "prompt_encoder_state_dict": {"fc.weight": torch.ones(1)},
        "decoder_state_dict": {"fc.weight": torch.zeros(1)},
        "prototypes_state_dict": {"class_embeddings.weight": torch.ones(2)},
    }
    state = network_state(
        {**parts, "epoch": 3, "args": argparse.Namespace(), "optimizer": {"state": {}}}, "a.pth"
    )
    assert {key: value.tolist() for key, value in state.items()} == {
        "prompt_encoder_state_dict.fc.weight": [1.0],
        "decoder_state_dict.fc.weight": [0.0],
        "prototypes_state_dict.class_embeddings.weight": [1.0, 1.0],
    }
    for nothing in ({"epoch": 3, "history": {}}, [], torch.ones(1)):
        with pytest.raises(InputError, match="found no network weights"):
            network_state(nothing, "a.pth")


def test_the_origin_goes_when_weights_are_trained_further(tmp_path):
    network = torch.nn.Linear(2, 2)
    torch.save(with_origin(network.state_dict(), Origin("a", "b", "c")), tmp_path / "model.pt")
    assert origin_of(read_checkpoint(tmp_path / "model.pt")) == Origin("a", "b", "c")
    assert load_weights(network, tmp_path / "model.pt", bundle="cotr") == []
    save_state(network, tmp_path / "trained.pt")
    assert origin_of(read_checkpoint(tmp_path / "trained.pt")) is None


def test_an_origin_writes_no_control_characters(tmp_path):
    network = torch.nn.Linear(2, 2)
    torch.save(
        with_origin(network.state_dict(), Origin("a\x1b[2J\nerror: b", "c" * 9000, "d")),
        tmp_path / "model.pt",
    )
    found = origin_of(read_checkpoint(tmp_path / "model.pt"))
    assert found.what == "a [2J error: b"
    assert len(found.source) == 500
    for strange in ({"what": 3}, "text", None):
        state = network.state_dict()
        state._metadata["method_zoo_origin"] = strange
        assert origin_of(state) is None
