"""MM-WHS, the CT half, for registration: 20 hearts with seven structures, on one grid.

Raw layout, as the challenge distributes it::

    ct_train/ct_train_1001_image.nii.gz      CT angiography, HU
    ct_train/ct_train_1001_label.nii.gz      205, 420, 500, 550, 600, 820, 850

Every scan is laid on the first one by an affine map (:mod:`common.datasets.raw.affine_alignment`) and
resampled to 144 x 144 x 128 voxels over the field of view of the first: images linearly, labels by nearest
neighbour.  Labels become 1 to 7 in the order of their codes; 421, a stray value, is 420.  The last fifth by
name is the test list (chosen here, as are the reference and its field of view: the authors' are not known).
HU are written as they are.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from common.datasets.raw.affine_alignment import affine_map, resampled
from common.datasets.raw.label_volumes import check_grid, read_grid, read_hounsfield, read_image, volume_file
from common.datasets.raw.one_millimetre import turned
from common.datasets.raw.prepare import RawCase, Reader
from common.datasets.raw.published_lists import cases_present
from common.errors import InputError

__all__ = ["READER"]

_CASES = [f"ct_train_{number}" for number in range(1001, 1021)]
_TEST = 4
_SIZE = (144, 144, 128)
_CODES = {205: 1, 420: 2, 421: 2, 500: 3, 550: 4, 600: 5, 820: 6, 850: 7}
_LABELS = (
    *("background", "myocardium", "left atrium", "left ventricle", "right atrium", "right ventricle"),
    *("ascending aorta", "pulmonary artery"),
)


class _MmWhsCt(Reader):
    """Reads hearts and lays them on the first."""

    description = {
        "name": "MM-WHS CT",
        "description": (
            "Seven structures of the heart in CT angiography, affinely laid on the first scan and resampled "
            "to 144 x 144 x 128 voxels; the last 4 scans are the test list."
        ),
        "reference": "Zhuang and Shen, Medical Image Analysis 31, 2016, doi:10.1016/j.media.2016.02.006",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {str(value): name for value, name in enumerate(_LABELS)},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """16 and 4 scans, by name."""
        root = _root(source)
        lists = {"training": _CASES[:-_TEST], "test": _CASES[-_TEST:]}
        return cases_present(lists, lambda case: _file(root, case, "image"), partial=partial, source=source)

    def read(self, source: Path, case: str) -> RawCase:
        """One heart on the common grid."""
        root = _root(source)
        fixed, fixed_affine = _reference(root)
        path, truth = (_file(root, case, kind) for kind in ("image", "label"))
        grid = read_grid(path)
        check_grid(read_grid(truth), grid)
        image, label = read_hounsfield(grid), _structures(truth)
        through = affine_map(fixed, fixed_affine, image, grid.affine)
        steps = np.array(fixed.shape) / _SIZE
        onto = fixed_affine @ np.diag([*steps, 1.0])
        onto[:3, 3] = fixed_affine[:3, :3] @ ((steps - 1) / 2) + fixed_affine[:3, 3]
        return RawCase(
            image=resampled(image, grid.affine, _SIZE, onto, through, order=1),
            label=resampled(label, grid.affine, _SIZE, onto, through, order=0).astype(np.uint8),
            affine=onto,
        )


READER = _MmWhsCt()


@lru_cache(maxsize=1)
def _reference(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first scan that is there, axes towards right, anterior, superior, and its affine."""
    path = next(file for case in _CASES if (file := _file(root, case, "image")).is_file())
    grid = read_grid(path)
    return turned(read_hounsfield(grid), grid.affine, "RAS")


def _structures(path: Path) -> np.ndarray:
    """Codes as 0 to 7, uint8."""
    codes = np.rint(read_image(read_grid(path))).astype(np.int32)
    unknown = sorted(set(np.unique(codes).tolist()) - {0, *_CODES})
    if unknown or not codes.any():
        raise InputError(
            f"{path}: has the codes {unknown or [0]}; expected 0 and some of {sorted(_CODES)}: download it "
            f"again"
        )
    label = np.zeros(codes.shape, np.uint8)
    for code, value in _CODES.items():
        label[codes == code] = value
    return label


def _root(source: Path) -> Path:
    """The folder with the scans."""
    for root in (source, source / "ct_train", source / "MM-WHS 2017 Dataset" / "ct_train"):
        if any(root.glob("ct_train_*_image.nii*")):
            return root
    raise InputError(
        f"{source}: has no ct_train_1001_image.nii.gz, ..., nor has its 'ct_train'; expected the training "
        f"scans of MM-WHS: correct --source"
    )


def _file(root: Path, case: str, kind: str) -> Path:
    """A file of a case, or where it was looked for."""
    return volume_file(root / f"{case}_{kind}")
