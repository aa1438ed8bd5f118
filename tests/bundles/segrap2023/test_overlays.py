"""The bundle's own overlays, trained for a step and predicted with: segrap2023/docs/method.md#recipe."""

from __future__ import annotations

import json
import re
from pathlib import Path

import itk
import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser

from common.errors import InputError
from tests.contract.bundle import Bundle, Shell

WIDTHS = [2, 4, 4, 4, 4, 4, 4]
#: Overlays of a training -> settings, overlays of a prediction, its settings.
RUNS = {
    "gtv": (["gtv"], {}, ["gtv_inference"], {"paired_flips": True}),
    "nnunet": (["nnunet"], {}, ["nnunet_inference"], {}),
    "nnunet of tumours": (
        ["gtv", "nnunet"],
        {"resolution": "low", "patch_size": [32, 32, 32]},
        ["gtv_inference", "nnunet_inference"],
        {"resolution": "low", "mirror_axes": [2]},
    ),
    "refine": (["refine"], {"paired_flips": True}, [], {"paired_flips": True}),
}


@pytest.mark.full
@pytest.mark.parametrize("name", RUNS)
def test_trains_and_predicts(name, tmp_path):
    """Of "gtv" with "gtv_inference", "nnunet" with "nnunet_inference", and "refine", whose weights refine the
    first network's.
    """
    bundle, shell = Bundle("segrap2023"), Shell(tmp_path, tmp_path)
    overlays, settings, further, prediction = RUNS[name]
    data = {"dataset_dir#folder": tmp_path / "phantom", **bundle.quick["data"], "dataset_dir#training": 2}
    places = {"output_dir": tmp_path / "eval", "ckpt_dir": tmp_path / "models"}
    widths = {"network_def#widths": WIDTHS if "nnunet" in overlays else [2, 4, 4, 8]}
    if "nnunet" in overlays:
        stages = 7 if overlays == ["gtv", "nnunet"] and "resolution" not in settings else 6
        narrow = f"widths={WIDTHS[:stages]}"
        widths["nnunet_plan"] = f"$dict(segrap2023.plans.plan_of(@task, @resolution), {narrow})"
        widths["spacing"], widths["patch_size"] = [8.0, 3.2, 3.2], [16, 32, 32]
        widths.pop("network_def#widths")
    tiny = {"patch_size": [16, 32, 32], "epochs": 1, "iterations_per_epoch": 1, "val_interval": 1}
    tiny |= {"batch_size": 2, "num_workers": 0}
    files = [bundle.config_file(one) for one in ("train", *overlays)]
    shell.run(files, {**data, **tiny, **widths, **settings, **places}).ok()
    plan = json.loads((tmp_path / "models" / "plan.json").read_text())
    if "gtv" in overlays:
        assert plan["labels"] == {"0": "background", "1": "GTVp", "2": "GTVnd"}
    if name == "refine":
        first = {**places, "ckpt_dir": tmp_path / "first"}
        shell.run([bundle.config_file("train")], {**data, **tiny, **widths, **first}).ok()
        prediction |= {"refiner": tmp_path / "models" / "model.pt", "refiner_def#widths": [2, 4, 4, 8]}
        places["ckpt_dir"] = tmp_path / "first"
    files = [bundle.config_file(one) for one in ("inference", *further)]
    widths.pop("spacing", None)
    widths.pop("patch_size", None)
    out = tmp_path / "predictions"
    shell.run(files, {**data, **widths, **prediction, **places, "output_dir": out}).ok()
    stacks = sorted(out.glob("*.mha"))
    assert len(stacks) == 2
    channels = 2 if "gtv" in overlays else 45
    postfix = "tumours" if "gtv" in overlays else "organs"
    for stack in stacks:
        label = nib.load(Path(str(stack).replace(".mha", f"_{postfix}.nii.gz")))
        masks = itk.array_from_image(itk.imread(str(stack)))
        assert masks.shape == (channels, *label.shape[::-1])
        assert np.asarray(label.dataobj).max() < (3 if "gtv" in overlays else 55)


def resolved(*overlays: str) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config([Bundle("segrap2023").config_file(one) for one in overlays])
    return parser


def test_tumours_are_kept_apart_from_organs():
    """Weights and results of either task lie in folders of their own."""
    for node in ("ckpt_dir", "output_dir"):
        training = resolved("train", "gtv").get_parsed_content(node)
        assert training == resolved("inference", "gtv_inference").get_parsed_content(node)
        assert training != resolved("train").get_parsed_content(node)


def test_refinement_of_tumours_is_refused():
    assert 34 in resolved("train", "refine").get_parsed_content("small_classes")
    for node in ("small_classes", "crop_on_class"):
        with pytest.raises(RuntimeError) as raised:
            resolved("train", "gtv", "refine").get_parsed_content(node)
        cause = raised.value
        while not isinstance(cause, InputError):
            cause = cause.__cause__
        assert re.search("a network of 3 classes; .*: train without refine.json", str(cause))
