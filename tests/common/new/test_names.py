from __future__ import annotations

import pytest

from common.errors import InputError
from common.new.names import check_name, class_name
from common.recipes.checkout import ROOT


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Unet", "small letters"),
        ("u-net", "small letters"),
        ("2d_net", "small letters"),
        ("lambda", "small letters"),
        ("../unet", "small letters"),
        ("unet_v2", "_v"),
        ("unet_vessels", "_v"),
        ("cotr", "bundles/cotr is there already"),
        ("torch", "Python package"),
        ("json", "Python package"),
        ("benchmarks", "Python package"),
        ("lesion_detection", "MONAI Label guesses"),
    ],
)
def test_invalid_name(name, says):
    with pytest.raises(InputError, match=says) as error:
        check_name(name, "segmentation", ROOT)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["classification", "detection"])
def test_name_must_end_in_some_kinds(kind):
    check_name(f"lesion_{kind}", kind, ROOT)
    with pytest.raises(InputError, match="MONAI Label guesses"):
        check_name("lesions", kind, ROOT)


@pytest.mark.parametrize("place", ["tests/bundles/unet_ct", "benchmarks/speed/bundles/unet_ct.py"])
def test_nothing_is_overwritten(place, tmp_path):
    check_name("unet_ct", "segmentation", tmp_path)
    (tmp_path / place).mkdir(parents=True)
    with pytest.raises(InputError, match=f"{place} is there already"):
        check_name("unet_ct", "segmentation", tmp_path)


def test_class_name():
    assert class_name("mcnet_plus") == "McnetPlus"
    assert class_name("kits21") == "Kits21"
