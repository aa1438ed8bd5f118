"""KiPA22: 70 CT angiographies cropped around a kidney, with its vein, artery and tumour.

Raw layout, as the challenge distributes it; ``--source`` is the folder with ``train``, or the one above::

    train/image/<name>.nii.gz
    train/label/<name>.nii.gz        1 renal vein, 2 kidney, 3 renal artery, 4 tumour

Names follow no rule: all that are there are taken, sorted as strings, which is the order of the published
folds (18, 18, 17 and 17 cases).  The 60 scans of the two test lists have no labels and are left alone: the
test list is empty.

Values are stored unsigned, 0 to about 2500, and no document of the challenge says how.  They are taken for
HU + 1024, as others read them, and written as HU; a scaling by percentiles, mean and deviation of the same
scans does not depend on that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.datasets.raw.label_volumes import (
    check_grid,
    read_grid,
    read_image,
    read_label,
    volume_file,
    volumes_in,
)
from common.datasets.raw.prepare import RawCase, Reader
from common.errors import InputError

__all__ = ["READER"]

_CASES = 70
_OFFSET = 1024  # stored value of 0 HU
_LABELS = ("background", "renal vein", "kidney", "renal artery", "tumour")
_KIDNEY = 2


class _Kipa22(Reader):
    """Reads crops and their labels, and shifts stored values to HU."""

    description = {
        "name": "KiPA22",
        "description": (
            "Kidney, renal artery, renal vein and tumour in crops of CT angiography. HU are assumed: stored "
            "values less 1024."
        ),
        "reference": "Kidney PArsing Challenge 2022, kipa22.grand-challenge.org",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {str(value): name for value, name in enumerate(_LABELS)},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """All scans of ``train``, sorted as strings."""
        root = _root(source)
        cases = volumes_in(root / "image")
        if len(cases) > _CASES or (len(cases) < _CASES and not (partial and cases)):
            raise InputError(
                f"{root / 'image'}: has {len(cases)} scans; expected {_CASES}, those of KiPA22's training "
                f"list: complete the download, or prepare fewer (at least one) with  --partial true"
            )
        lacking = [path for case in cases if not (path := volume_file(root / "label" / case)).is_file()]
        if lacking:
            raise InputError(
                f"{lacking[0]}: not there, {len(lacking)} of {len(cases)} scans have no label: complete the "
                f"download"
            )
        return {"training": cases, "test": []}

    def read(self, source: Path, case: str) -> RawCase:
        """One crop with its label."""
        root = _root(source)
        grid = read_grid(volume_file(root / "image" / case))
        truth = volume_file(root / "label" / case)
        check_grid(read_grid(truth), grid)
        label = read_label(truth, highest=len(_LABELS) - 1)
        if not (label == _KIDNEY).any():
            raise InputError(f"{truth}: has no kidney ({_KIDNEY}); expected one: download it again")
        image = read_image(grid)
        low, high = image.min(), image.max()
        if not 0 <= low < _OFFSET < high < 2**15 or not (image == np.rint(image)).all():
            raise InputError(
                f"{grid.path}: has values from {low:g} to {high:g}; expected whole numbers from 0 to about "
                f"2500, HU + {_OFFSET} as the challenge stores them: download it again"
            )
        return RawCase(image=image.astype(np.int16) - _OFFSET, label=label, affine=grid.affine)


READER = _Kipa22()


def _root(source: Path) -> Path:
    """The folder with ``image`` and ``label``."""
    for above in (source, *sorted(path for path in source.iterdir() if path.is_dir())):
        for root in (above / "train", above):
            if (root / "image").is_dir() and (root / "label").is_dir():
                return root
    raise InputError(
        f"{source}: has no folders train/image and train/label; expected KiPA22's training data: correct "
        f"--source"
    )
