"""BraTS 2019: the FLAIR images of 335 brains with tumours, as semi-supervised papers use them.

Raw layout, as the challenge distributes it::

    MICCAI_BraTS_2019_Data_Training/{HGG,LGG}/<case>/<case>_flair.nii.gz    240 x 240 x 155, 1 mm, brain alone
    MICCAI_BraTS_2019_Data_Training/{HGG,LGG}/<case>/<case>_seg.nii.gz      0, 1, 2, 4

The label is the whole tumour: every value above 0 becomes 1.  The lists of SSL4MIS divide the cases into
250, 25 and 60.  Preprocessing is theirs (lefed/docs/method.md#brats-2019): cut to the box of non-zero
voxels, whose last plane on each axis is lost; values above the 99.9th percentile of the box are set to it;
mean 0 and deviation 1 of the voxels above 0, applied to all.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine

from common.datasets.raw.label_volumes import check_grid, read_grid, read_image, read_label, volume_file
from common.datasets.raw.prepare import RawCase, Reader
from common.datasets.raw.published_lists import cases_present, published_lists
from common.errors import InputError

__all__ = ["READER"]

_GRADES = ("HGG", "LGG")
_RELEASE = "MICCAI_BraTS_2019_Data_Training"
_PERCENTILE = 99.9


class _Brats2019(Reader):
    """Reads FLAIR and the whole tumour."""

    description = {
        "name": "BraTS2019",
        "description": (
            "Whole tumour in FLAIR MR, cut to the brain, clipped at the 99.9th percentile and z-scored "
            "within it: BraTS 2019, divided as in SSL4MIS."
        ),
        "reference": "Menze et al., IEEE Trans. Medical Imaging 34, 2015, doi:10.1109/TMI.2014.2377694",
        "tensorImageSize": "3D",
        "modality": {"0": "FLAIR"},
        "labels": {"0": "background", "1": "whole tumour"},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The published 250, 25 and 60 cases, in their order."""
        root = _root(source)
        lists = published_lists("brats2019")
        return cases_present(lists, lambda case: _file(root, case, "flair"), partial=partial, source=source)

    def read(self, source: Path, case: str) -> RawCase:
        """One brain with its tumour."""
        root = _root(source)
        path, truth = (_file(root, case, kind) for kind in ("flair", "seg"))
        grid = read_grid(path)
        check_grid(read_grid(truth), grid)
        image, label = read_image(grid), read_label(truth, highest=4) > 0
        if not (image > 0).any() or not label.any():
            raise InputError(
                f"{path}: no voxel above 0, or no tumour in {truth.name}; download the case again"
            )
        box = tuple(slice(places.min(), places.max()) for places in np.nonzero(image))
        if not (image[box] > 0).any() or not label[box].any():
            raise InputError(f"{path}: the box of its voxels holds no tumour; download the case again")
        affine = grid.affine.copy()
        affine[:3, 3] = apply_affine(grid.affine, [side.start for side in box])
        return RawCase(image=_scaled(image[box]), label=label[box].astype(np.uint8), affine=affine)


READER = _Brats2019()


def _scaled(image: np.ndarray) -> np.ndarray:
    """Clipped and z-scored, float32."""
    clipped = np.minimum(image.astype(np.float64), np.percentile(image, _PERCENTILE))
    brain = clipped[clipped > 0]
    return ((clipped - brain.mean()) / max(brain.std(), 1e-8)).astype(np.float32)


def _root(source: Path) -> Path:
    """The folder that holds HGG and LGG."""
    for root in (source, source / _RELEASE, source / _RELEASE / _RELEASE):
        if any((root / grade).is_dir() for grade in _GRADES):
            return root
    raise InputError(
        f"{source}: has no folders HGG and LGG, nor has its '{_RELEASE}'; expected BraTS 2019's training "
        f"data: correct --source"
    )


def _file(root: Path, case: str, kind: str) -> Path:
    """A file of a case, or where it was looked for."""
    names = [volume_file(root / grade / case / f"{case}_{kind}") for grade in _GRADES]
    return next((path for path in names if path.is_file()), names[0])
