"""BCV (BTCV, Beyond the Cranial Vault): 30 abdominal CT with thirteen organs, by CoTr's list of 21 and 9.

Raw layout, as downloaded (Synapse syn3193805); ``--source`` is a folder with ``Training``, or the one above::

    RawData/Training/img/img0001.nii.gz        1 to 10 and 21 to 40
    RawData/Training/label/label0001.nii.gz

``splits/bcv_21_9.json`` is the list.  The 20 scans of ``Testing`` have no labels and are left alone.

The values are HU.  Image and label belong together voxel by voxel; their headers may differ, so the image's
affine holds for both, and left and right follow from it alone: the in-plane axes differ between scans.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from common.datasets.raw.label_volumes import Grid, check_shape, read_grid, read_hounsfield, read_label
from common.datasets.raw.prepare import RawCase, Reader
from common.errors import InputError

__all__ = ["READER"]

_SPLIT = Path(__file__).parent / "splits" / "bcv_21_9.json"
_SUFFIXES = (".nii.gz", ".nii")
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
        root = _root(source)
        split = json.loads(_SPLIT.read_text(encoding="utf-8"))
        lists = {
            section: [f"img{number:04d}" for number in split[section]] for section in ("training", "test")
        }
        expected = [case for cases in lists.values() for case in cases]
        found = {path.name.split(".")[0] for path in (root / "img").iterdir() if path.name[0] not in "._"}
        foreign = sorted(found - set(expected))
        if foreign:
            raise InputError(
                f"{root / 'img'}: holds {foreign[0]}, which is none of the 30 scans (1 to 10, 21 to 40): "
                f"is it another data set?"
            )
        missing = [case for case in expected if _file(root, "img", case) is None]
        if missing and not (partial and len(missing) < len(expected)):
            raise InputError(
                f"{root / 'img'}: {missing[0]}.nii.gz is not there, {len(missing)} of {len(expected)} scans "
                f"are missing: complete the download, or prepare fewer with  --partial true"
            )
        lacking = [case for case in expected if case not in missing and _file(root, "label", case) is None]
        if lacking:
            name = lacking[0].replace("img", "label")
            raise InputError(
                f"{root / 'label' / name}.nii.gz: not there, {len(lacking)} scans have no label: "
                f"complete the download"
            )
        return {section: [c for c in cases if c not in missing] for section, cases in lists.items()}

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


def _file(root: Path, kind: str, case: str) -> Path | None:
    names = (root / kind / f"{case.replace('img', kind)}{suffix}" for suffix in _SUFFIXES)
    return next((path for path in names if path.is_file()), None)


def _check_spacing(label: Grid, image: Grid) -> None:
    if not np.allclose(label.spacing, image.spacing, rtol=_SAME_SPACING, atol=0):
        shown = [" x ".join(f"{mm:.4g}" for mm in grid.spacing) for grid in (label, image)]
        raise InputError(
            f"{label.path}: has voxels of {shown[0]} mm; expected {shown[1]}, those of {image.path.name}: "
            f"is it the label of this scan?"
        )
