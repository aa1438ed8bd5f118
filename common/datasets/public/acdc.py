"""ACDC: cine MR of 100 hearts, each at the end of diastole and of systole.

Raw layout, as the challenge distributes it::

    database/training/patient001/Info.cfg                         the lines "ED: 1" and "ES: 12" among others
    database/training/patient001/patient001_frame01.nii.gz        the end of diastole
    database/training/patient001/patient001_frame01_gt.nii.gz     0 to 3
    database/training/patient001/patient001_frame12.nii.gz        the end of systole
    ...

Cases are called as in the lists of SSL4MIS: ``patient001_frame01`` is the end of diastole and
``patient001_frame02`` that of systole, whatever their numbers in the film.  These lists divide the 100
public training patients into 70, 10 and 20; both frames of a patient are in one list, next to each other.
Images are written as they are, on their own grid.
"""

from __future__ import annotations

from pathlib import Path

from common.datasets.raw.acdc_frames import FramesReader, described, frame_file, read_frame
from common.datasets.raw.label_volumes import read_image
from common.datasets.raw.prepare import RawCase
from common.datasets.raw.published_lists import cases_present, numbers_beside, published_lists
from common.errors import InputError

__all__ = ["READER"]


class _Acdc(FramesReader):
    description = described("ACDC", "100 patients, divided as in SSL4MIS")

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The published 140, 20 and 40 frames, in their order."""
        root = _root(source)
        lists = published_lists("acdc")
        return cases_present(lists, lambda case: frame_file(root, case), partial=partial, source=source)

    def read(self, source: Path, case: str) -> RawCase:
        """One frame with its label."""
        path = frame_file(_root(source), case)
        grid, label = read_frame(path)
        slices = numbers_beside("acdc", "training").get(case, grid.shape[2])
        if grid.shape[2] != slices:
            raise InputError(
                f"{path}: has {grid.shape[2]} slices; expected {slices}, as the published list has "
                f"of {case}: download it again"
            )
        return RawCase(image=read_image(grid), label=label, affine=grid.affine)


READER = _Acdc()


def _root(source: Path) -> Path:
    """The folder with the patients' folders."""
    for below in (".", "training", "database/training", "ACDC/database/training"):
        if any((source / below).glob("patient[0-9]*")):
            return source / below
    raise InputError(
        f"{source}: has no folders patient001, patient002, ..., nor has its 'database/training'; expected "
        f"ACDC's release: correct --source"
    )
