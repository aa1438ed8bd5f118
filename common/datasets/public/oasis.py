"""OASIS brains for registration: 414 aligned, skull-stripped T1 scans with 35 structures.

Raw layouts, whichever is there:

- neurite's::

      OASIS_OAS1_0001_MR1/aligned_norm.nii.gz      160 x 192 x 224, 1 mm, affinely aligned, skull-stripped
      OASIS_OAS1_0001_MR1/aligned_seg35.nii.gz     0 to 35, cortical and subcortical
      subjects.txt                                 names of the folders; without it they are sorted

- Learn2Reg's, later: ``imagesTr/OASIS_0001_0000.nii.gz`` and ``labelsTr/OASIS_0001_0000.nii.gz``;
- Learn2Reg's of 2021: ``img0001.nii.gz`` and ``seg0001.nii.gz``.

The last 20 subjects of the list are the test list, all others are for training (chosen here: the authors'
split is not known).  The numbers of the subjects have gaps.  Values are 0 to 1, or 255 times that in some
copies, and are written as they are.
"""

from __future__ import annotations

from pathlib import Path

from common.datasets.raw.label_volumes import check_grid, read_grid, read_image, read_label
from common.datasets.raw.prepare import RawCase, Reader
from common.errors import InputError

__all__ = ["READER"]

_SUBJECTS = 414
_TEST = 20
_STRUCTURES = 35


class _Oasis(Reader):
    """Reads aligned scans with their structures."""

    description = {
        "name": "OASIS",
        "description": (
            "Skull-stripped, affinely aligned T1 MR of the brain, 35 structures; the last 20 subjects are "
            "the test list."
        ),
        "reference": "Marcus et al., J. Cognitive Neuroscience 19, 2007; Hoopes et al., IPMI 2021",
        "tensorImageSize": "3D",
        "modality": {"0": "MR"},
        "labels": {"0": "background"} | {str(n): f"structure {n}" for n in range(1, _STRUCTURES + 1)},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """394 and 20 subjects, in the order of subjects.txt or by name."""
        subjects = [subject for subject in _subjects(source) if _files(source, subject)[0].is_file()]
        if len(subjects) != _SUBJECTS and not (partial and len(subjects) > _TEST):
            raise InputError(
                f"{source}: {len(subjects)} subjects have aligned scans; expected {_SUBJECTS}: complete "
                f"the download, or prepare fewer (more than the {_TEST} for testing) with  --partial true"
            )
        return {"training": subjects[:-_TEST], "test": subjects[-_TEST:]}

    def read(self, source: Path, case: str) -> RawCase:
        """One brain with its structures."""
        path, truth = _files(source, case)
        grid = read_grid(path)
        check_grid(read_grid(truth), grid)
        return RawCase(
            image=read_image(grid), label=read_label(truth, highest=_STRUCTURES), affine=grid.affine
        )


READER = _Oasis()


def _subjects(source: Path) -> list[str]:
    """Names in the order of the list."""
    listed = source / "subjects.txt"
    if listed.is_file():
        return [line.strip() for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    found = [path.name for path in source.glob("OASIS_OAS1_*_MR*") if path.is_dir()]
    found += [path.name.removesuffix(".nii.gz") for path in source.glob("imagesTr/OASIS_*_0000.nii.gz")]
    found += [path.name.removesuffix(".nii.gz") for path in source.glob("img[0-9]*.nii.gz")]
    if not found:
        raise InputError(
            f"{source}: has neither folders OASIS_OAS1_0001_MR1, ..., nor imagesTr/OASIS_0001_0000.nii.gz, "
            f"..., nor img0001.nii.gz, ...; expected OASIS as neurite or Learn2Reg hands it out: correct "
            f"--source"
        )
    return sorted(found)


def _files(source: Path, subject: str) -> tuple[Path, Path]:
    """Image and label of a subject, or where they were looked for."""
    if (source / "imagesTr").is_dir():
        name = f"{subject}.nii.gz"
        return source / "imagesTr" / name, source / "labelsTr" / name
    if subject.startswith("img"):
        return source / f"{subject}.nii.gz", source / f"seg{subject.removeprefix('img')}.nii.gz"
    return source / subject / "aligned_norm.nii.gz", source / subject / "aligned_seg35.nii.gz"
