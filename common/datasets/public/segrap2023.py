"""SegRap2023: 120 pairs of head-and-neck CT, 45 organs at risk and two gross tumour volumes.

Raw layout, as the challenge distributes it; ``--source`` is the folder that holds both archives, or the
first of them::

    SegRap2023_Training_Set_120cases/segrap_0000/image.nii.gz              CT
    SegRap2023_Training_Set_120cases/segrap_0000/image_contrast.nii.gz     CT with contrast agent, same grid
    SegRap2023_Training_Set_120cases/segrap_0000/<structure>.nii.gz        45 organs, GTVp, GTVnd; 0 and 1
    SegRap2023_Training_Set_120cases_OneHot_Labels/Task001/segrap_0000.nii.gz    organs as classes 1 to 54
    SegRap2023_Training_Set_120cases_OneHot_Labels/Task002/segrap_0000.nii.gz    1 GTVp, 2 GTVnd

Each case becomes one image with two channels, ``label`` with the 54 exclusive classes
(:mod:`common.datasets.raw.segrap_classes`), and ``gtv``.  Both labels are those of the second archive.  Where
it lacks a case, they are composed of the files by structure, and structures that overlap as no class does
are refused: how the organisers resolved such voxels is not published.  The two forms are not compared.

The lists are those of the organisers' tutorial: 84, 12 and 24 of the 120; ``--one_list true`` makes all of
them the training list.  The cases of the challenge's own validation and test phases have no labels.

Not confirmed: that a structure which a patient lacks has an empty file, rather than none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common.datasets.raw.label_volumes import Grid, check_grid, read_grid, read_hounsfield, read_label
from common.datasets.raw.prepare import RawCase, Reader
from common.datasets.raw.published_lists import cases_present, published_lists
from common.datasets.raw.segrap_classes import GTVS, ORGANS, Structures, class_names, compose
from common.errors import InputError
from common.nifti import open_nifti, reading_nifti

__all__ = ["READER"]

_CASES = "SegRap2023_Training_Set_120cases"
_MAPS = f"{_CASES}_OneHot_Labels"
_CTS = ("image.nii.gz", "image_contrast.nii.gz")
_TASKS = {"label": ("Task001", ORGANS), "gtv": ("Task002", GTVS)}


class _SegRap2023(Reader):
    """Pairs the CTs, and reads or composes the labels of both tasks."""

    description = {
        "name": "SegRap2023",
        "description": (
            "Organs at risk as 54 exclusive classes (label) and gross tumour volumes (gtv) in CT without and "
            "with contrast agent; 84, 12 and 24 cases as in the organisers' tutorial."
        ),
        "reference": "Luo et al., Medical Image Analysis 101:103447, 2025, arXiv 2312.09576",
        "tensorImageSize": "3D",
        "modality": {"0": "CT", "1": "CT"},
        "labels": {str(value): name for value, name in enumerate(class_names(ORGANS))},
        "gtv_labels": {str(value): name for value, name in enumerate(class_names(GTVS))},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The tutorial's lists, in their order."""
        root, lists = _cases_root(source), published_lists("segrap2023")
        known = {case for cases in lists.values() for case in cases}
        foreign = sorted({path.name for path in root.glob("segrap_*") if path.is_dir()} - known)
        if foreign:
            raise InputError(
                f"{root}: holds {foreign[0]}, which is none of the {len(known)} labelled cases, {min(known)} "
                f"to {max(known)}: take it out"
            )
        return cases_present(lists, lambda case: _either(root / case), partial=partial, source=source)

    def read(self, source: Path, case: str) -> RawCase:
        """One pair of CTs with the labels of both tasks."""
        folder, maps = _cases_root(source) / case, _maps_root(source)
        grids = [read_grid(_demanded(folder / name, "one CT of the pair")) for name in _CTS]
        check_grid(grids[1], grids[0])
        labels = {
            key: _from_map(path, structures, grids[0])
            if maps and (path := maps / task / f"{case}.nii.gz").is_file()
            else _from_structures(folder, structures, grids[0])
            for key, (task, structures) in _TASKS.items()
        }
        if not labels["label"].any():
            raise InputError(f"{folder}: no organ is labelled; expected some: download the case again")
        return RawCase(
            image=np.stack([read_hounsfield(grid) for grid in grids], axis=-1),
            label=labels["label"],
            affine=grids[0].affine,
            further_labels={"gtv": labels["gtv"]},
        )


READER = _SegRap2023()


def _from_map(path: Path, structures: Structures, grid: Grid) -> np.ndarray:
    """The classes in a file of the second archive: one map, or a channel for each structure."""
    image = open_nifti(path)
    channels = image.shape[3] if image.ndim == 4 else 1
    if channels == 1:
        check_grid(read_grid(path), grid)
        return read_label(path, highest=len(class_names(structures)) - 1)
    if channels != len(structures):
        raise InputError(
            f"{path}: has {channels} channels; expected one map of classes, or {len(structures)} channels, "
            f"one for each structure from {next(iter(structures))} on: download it again"
        )
    check_grid(Grid(path, image.shape[:3], np.asarray(image.affine, np.float64)), grid)
    with reading_nifti(path):
        stored = np.asanyarray(image.dataobj)
    return _composed(np.moveaxis(stored, -1, 0), structures, path)


def _from_structures(folder: Path, structures: Structures, grid: Grid) -> np.ndarray:
    """The classes of a case's files by structure."""

    def masks() -> Iterator[np.ndarray]:
        for name in structures:
            path = _demanded(
                folder / f"{name}.nii.gz", f"the mask of {name}, or the map of classes in {_MAPS}"
            )
            check_grid(read_grid(path), grid)
            yield read_label(path, highest=1)

    return _composed(masks(), structures, folder)


def _composed(masks: Iterator[np.ndarray] | np.ndarray, structures: Structures, path: Path) -> np.ndarray:
    fine, conflicts = compose(masks, structures)
    if conflicts:
        more = f", and {len(conflicts) - 3} more" if len(conflicts) > 3 else ""
        told = "; ".join(map(str, conflicts[:3]))
        raise InputError(
            f"{path}: masks overlap as no class does: {told}{more}; expected those of exclusive classes: "
            f"download {_MAPS}, which has them, beside the cases"
        )
    return fine


def _demanded(path: Path, what: str) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: not there; expected {what}: complete the download")
    return path


def _either(folder: Path) -> Path:
    """A CT by which a case is recognised: a pair with only one is to be complained of, not left out."""
    return next((folder / name for name in _CTS if (folder / name).is_file()), folder / _CTS[0])


def _cases_root(source: Path) -> Path:
    """The folder with ``segrap_0000`` and so on."""
    for root in (source, source / _CASES, source / _CASES / _CASES):
        if any(root.glob("segrap_*/image*.nii.gz")):
            return root
    raise InputError(
        f"{source}: has no folders segrap_0000, segrap_0001, ..., nor has its '{_CASES}'; expected "
        f"SegRap2023's training cases: correct --source"
    )


def _maps_root(source: Path) -> Path | None:
    """The folder with ``Task001`` and ``Task002``, in the source or beside it."""
    beside = [source.parent / _MAPS] if source.name == _CASES else []
    places = [source / _MAPS, source / _MAPS / _MAPS, *beside]
    return next((root for root in places if any((root / task).is_dir() for task, _ in _TASKS.values())), None)
