import json

from common.bundles import bundle_folder, parse_config
from tools.label import app
from tools.label.app import fill_scans, fit_to_weights


def unpacked(folder, plan=None):
    """A bundle's configs and plan, as in an unpacked bundle."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    for file in (bundle_folder("cotr") / "configs").glob("*.json"):
        (folder / "configs" / file.name).write_text(file.read_text())
    if plan is not None:
        (folder / "models" / "plan.json").write_text(json.dumps(plan))
    return folder


def config(folder, name):
    return json.loads((folder / "configs" / f"{name}.json").read_text())


def test_class_and_channel_counts_of_the_training_are_written_to_the_configs(tmp_path):
    """``--num_classes 5`` was an option of the training; MONAI Label reads only the files."""
    plan = {"intensity": [], "channels": 2, "classes": 3, "labels": {"0": "nothing", "1": "Kidney"}}
    folder = unpacked(tmp_path, plan)
    fit_to_weights(folder)
    for kind in ("train", "inference"):
        assert (config(folder, kind)["in_channels"], config(folder, kind)["num_classes"]) == (2, 3)
    formats = config(folder, "metadata")["network_data_format"]
    assert formats["inputs"]["image"]["num_channels"] == 2
    assert formats["outputs"]["pred"]["num_channels"] == 3
    assert formats["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "Kidney", "2": "class 2"}
    assert "in_channels" not in config(folder, "paper"), "an overlay keeps what it does not change out"


def test_without_a_plan_the_published_settings_are_asked_for_and_nothing_else_is_changed(tmp_path):
    """Imported weights have none."""
    folder = unpacked(tmp_path)
    before = {name: config(folder, name) for name in ("train", "inference", "metadata")}
    before["inference"]["plan"]["published"] = True
    fit_to_weights(folder)
    assert {name: config(folder, name) for name in before} == before


def test_without_a_folder_of_scans_the_phantoms_test_scans_are_served(tmp_path, monkeypatch):
    tiny = {"training": 2, "validation": 1, "test": 2, "shape": [24, 24, 12]}
    tiny["folder"] = str(tmp_path / "data")
    overrides = {f"dataset_dir::{key}": value for key, value in tiny.items()}
    monkeypatch.setattr(app, "parse_config", lambda name: parse_config(name, **overrides))
    fill_scans(tmp_path / "label" / "scans", "cotr")
    scans = sorted(path.name for path in (tmp_path / "label" / "scans").iterdir())
    assert scans == sorted(path.name for path in (tmp_path / "data" / "imagesTs").iterdir())
    assert len(scans) == 2
