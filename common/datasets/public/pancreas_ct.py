"""The Pancreas-CT of semi-supervised papers: 82 abdominal CT of the NIH, prepared as MC-Net does.

Raw layout, one of (``source`` or a folder in it)::

    image0001_norm.h5                                  as MC-Net distributes it: image and label, prepared
    PANCREAS_0001.nii.gz                               converted, HU
    PANCREAS_0001/<study>/<series>/*.dcm               as The Cancer Imaging Archive (TCIA) distributes it

the last two with ``label0001.nii.gz`` (1 is the pancreas) in the same folder, in ``source``, or in
``TCIA_pancreas_labels-02-05-2017``.  MC-Net's lists (62 and 20) name all 82 scans; TCIA has withdrawn two
of them, 25 and 70, and 70 is the eleventh of the training list: prepared without it (``--partial true``),
the first 12 scans are not the published ones.

Scans that are not prepared yet are turned to (L, P, S), brought to 1 mm, clipped to [-125, 275] HU, cut in x
and y around the label, the test scans' too, and z-scored (mcnet_plus/docs/method.md#pancreas-ct).  Image and
label are each turned by their own header: these differ in the release, so only their shapes are compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from common.datasets.raw.h5_arrays import read_h5_scan
from common.datasets.raw.label_volumes import Grid, read_grid, read_image, read_label
from common.datasets.raw.one_millimetre import box_in_plane, scaled_window, to_one_millimetre, turned
from common.datasets.raw.prepare import RawCase, Reader
from common.datasets.raw.published_lists import cases_present, published_lists
from common.errors import InputError

__all__ = ["READER", "PancreasCt", "prepared_case"]

_FOLDERS = (".", "Pancreas_h5", "data", "data/Pancreas_h5", "Pancreas-CT", "images")
_LABELS = (".", "TCIA_pancreas_labels-02-05-2017", "labels")
_WINDOW = (-125.0, 275.0)  # HU
_AIR, _BONE = -300, 600  # HU; a pancreas is neither
_WRONG = 0.1  # of the label's voxels


class PancreasCt(Reader):
    """Reads scans that are prepared, or prepares them."""

    lists = "pancreas_ct"
    description = {
        "name": "Pancreas-CT",
        "description": (
            "Pancreas in contrast-enhanced CT, 1 mm, clipped to [-125, 275] HU, cropped around the pancreas "
            "in x and y and z-scored: Pancreas-CT of the NIH, prepared and divided as in MC-Net. The "
            "orientation of scans that came prepared is unknown."
        ),
        "reference": "Roth et al., The Cancer Imaging Archive, 2016, doi:10.7937/K9/TCIA.2016.tNB1kqBU",
        "tensorImageSize": "3D",
        "modality": {"0": "z-scored CT"},
        "labels": {"0": "background", "1": "pancreas"},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The published lists, in their order."""
        lists = published_lists(self.lists)
        return cases_present(lists, lambda case: self.find(source, case), partial=partial, source=source)

    def read(self, source: Path, case: str) -> RawCase:
        """One scan with its label."""
        path = self.find(source, case)
        if path.name.endswith(".h5"):
            return prepared_case(path)
        image, affine = _dicom(path.parent) if path.suffix == ".dcm" else _nifti(read_grid(path))
        return _prepare(path, image, affine, _label_path(source, path, case))

    def find(self, source: Path, case: str) -> Path:
        """The scan's file (the first, of a series), or where it was looked for."""
        scan = f"PANCREAS_{case[-4:]}"
        for below in _FOLDERS:
            for name in (f"{case}_norm.h5", f"{scan}.nii.gz", f"{scan}.nii"):
                if (source / below / name).is_file():
                    return source / below / name
            series = (
                sorted((source / below / scan).rglob("*.dcm")) if (source / below / scan).is_dir() else []
            )
            if series:
                return series[0]
        return source / f"{case}_norm.h5"


READER = PancreasCt()


def prepared_case(path: Path) -> RawCase:
    """A scan that was prepared already, on 1 mm voxels; its orientation is not known."""

    def check(key: str, array: Any) -> None:
        kinds = "f" if key == "image" else "iuf"
        if array.dtype.kind not in kinds:
            raise InputError(f"{path}: {key} has dtype {array.dtype}; expected numbers: download it again")

    image, label = read_h5_scan(path, check)
    return RawCase(image=image.astype(np.float32), label=label.astype(np.uint8), affine=np.eye(4))


def _nifti(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    return read_image(grid), grid.affine


def _dicom(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """A series of slices, sorted by place: (X, Y, Z) in HU, and its affine."""
    from monai.data import ITKReader  # only where there are DICOM files

    try:
        reader = ITKReader()
        image, meta = reader.get_data(reader.read(str(folder)))
    except (RuntimeError, ValueError, FileNotFoundError) as error:
        raise InputError(
            f"{folder}: cannot be read as a DICOM series ({error}); download it again"
        ) from error
    return np.asarray(image), np.asarray(meta["affine"], dtype=np.float64)


def _label_path(source: Path, scan: Path, case: str) -> Path:
    name = f"label{case[-4:]}.nii.gz"
    folders = [scan.parent, *(source / below for below in _LABELS), *(source / below for below in _FOLDERS)]
    for folder in folders:
        for path in (folder / name, folder / name.removesuffix(".gz")):
            if path.is_file():
                return path
    raise InputError(
        f"{source / _LABELS[1] / name}: not there; expected the label of {scan.name}: it is in an archive of "
        f"its own at TCIA"
    )


def _prepare(path: Path, image: np.ndarray, affine: np.ndarray, label_path: Path) -> RawCase:
    image, affine = turned(image, affine)
    label, _ = turned(read_label(label_path, highest=1), read_grid(label_path).affine)
    _check(path, image, label_path, label)
    image, label, affine = to_one_millimetre(image, label, affine)
    box = box_in_plane(label)
    affine[:3, 3] = nib.affines.apply_affine(affine, [side.start for side in box])
    return RawCase(image=scaled_window(image[box], *_WINDOW), label=label[box], affine=affine)


def _check(path: Path, image: np.ndarray, label_path: Path, label: np.ndarray) -> None:
    if label.shape != image.shape:
        raise InputError(
            f"{label_path}: has the shape {label.shape} turned to (L, P, S); expected {image.shape}, that of "
            f"{path}: is it another scan's?"
        )
    if not label.any():
        raise InputError(f"{label_path}: nothing is labelled; expected a pancreas: download it again")
    if not image.min() < _AIR:
        raise InputError(
            f"{path}: its lowest value is {image.min():g}; expected HU, with air below {_AIR}: stored "
            f"unsigned or prepared in another way, download it again"
        )
    organ = image[label > 0]
    wrong = np.mean((organ < _AIR) | (organ > _BONE))
    if wrong > _WRONG:
        raise InputError(
            f"{label_path}: {wrong:.0%} of the labelled voxels are air or bone in {path.name}; expected a "
            f"pancreas: one of the two headers is wrong, lay one over the other and flip the label"
        )
