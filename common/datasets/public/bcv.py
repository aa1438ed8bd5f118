"""BCV (BTCV, Beyond the Cranial Vault): 30 abdominal CT with thirteen organs, divided as in CoTr: 21 and 9.

Raw layout, as downloaded (Synapse syn3193805); ``--source`` is a folder with ``Training``, or the one above::

    RawData/Training/img/img0001.nii.gz        1 to 10 and 21 to 40
    RawData/Training/label/label0001.nii.gz

The 20 scans of ``Testing`` have no labels and are left alone.

The values are HU.  Image and label belong together voxel by voxel; their headers may differ, so the image's
affine holds for both, and left and right follow from it alone: the in-plane axes differ between scans.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.datasets.raw.label_volumes import (
    Grid,
    check_shape,
    read_grid,
    read_hounsfield,
    read_label,
    volume_file,
)
from common.datasets.raw.prepare import RawCase, Reader
from common.datasets.raw.published_lists import cases_present, published_lists
from common.errors import InputError

__all__ = ["READER"]

_SAME_SPACING = 0.01  # relative; headers are rounded
_ORGANS = (
    *("spleen", "right kidney", "left kidney", "gallbladder", "oesophagus", "liver", "stomach", "aorta"),
    *("inferior vena cava", "portal and splenic vein", "pancreas"),
    *("right adrenal gland", "left adrenal gland"),
)


class _Bcv(Reader):
    """Pairs the files by number."""

    description = {
        "name": "BCV",
        "description": "Abdominal CT with thirteen organs; 21 cases to train on, 9 to test, as in CoTr",
        "reference": "Multi-Atlas Labeling Beyond the Cranial Vault, Synapse syn3193805",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {str(value): name for value, name in enumerate(("background", *_ORGANS))},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The cases of the list, by number."""
        root, lists = _root(source), published_lists("bcv")
        known = {case for cases in lists.values() for case in cases}
        found = {path.name.split(".")[0] for path in (root / "img").iterdir() if path.name[0] not in "._"}
        foreign = sorted(found - known)
        if foreign:
            raise InputError(
                f"{root / 'img'}: holds {foreign[0]}, which is none of the 30 scans (1 to 10, 21 to 40): "
                f"is it another data set?"
            )
        lists = cases_present(lists, lambda case: _file(root, "img", case), partial=partial, source=source)
        present = [case for cases in lists.values() for case in cases]
        lacking = [path for case in present if not (path := _file(root, "label", case)).is_file()]
        if lacking:
            raise InputError(
                f"{lacking[0]}: not there, {len(lacking)} of {len(present)} scans have no label: complete "
                f"the download"
            )
        return lists

    def read(self, source: Path, case: str) -> RawCase:
        """One scan with its organs."""
        root = _root(source)
        grid, label_grid = (read_grid(_file(root, kind, case)) for kind in ("img", "label"))
        check_shape(label_grid, grid)
        _check_spacing(label_grid, grid)
        label = read_label(label_grid.path, highest=len(_ORGANS))
        if not label.any():
            raise InputError(f"{label_grid.path}: has no organ; expected some: download it again")
        return RawCase(image=read_hounsfield(grid), label=label, affine=grid.affine)


READER = _Bcv()


def _root(source: Path) -> Path:
    """The folder with ``img`` and ``label``."""
    for above in (source, *sorted(path for path in source.iterdir() if path.is_dir())):
        for root in (above, above / "Training", above / "RawData" / "Training"):
            if (root / "img").is_dir() and (root / "label").is_dir():
                return root
    raise InputError(
        f"{source}: has no folders Training/img and Training/label; expected BCV's RawData: correct --source"
    )


def _file(root: Path, kind: str, case: str) -> Path:
    """A file of a case, or where it was looked for."""
    return volume_file(root / kind / case.replace("img", kind))


def _check_spacing(label: Grid, image: Grid) -> None:
    if not np.allclose(label.spacing, image.spacing, rtol=_SAME_SPACING, atol=0):
        shown = [" x ".join(f"{mm:.4g}" for mm in grid.spacing) for grid in (label, image)]
        raise InputError(
            f"{label.path}: has voxels of {shown[0]} mm; expected {shown[1]}, those of {image.path.name}: "
            f"is it the label of this scan?"
        )
