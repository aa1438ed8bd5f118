"""The prostate of six sites on T2-weighted MR: NCI-ISBI 2013, I2CVB and PROMISE12 as distributed with SAML.

Raw layout, NIfTI::

    RAW/BIDMC/Case00.nii.gz                   a scan
    RAW/BIDMC/Case00_segmentation.nii.gz      its label (BMC's with a capital S)

and so for BMC, HK, I2CVB, RUNMC, UCL; older copies call RUNMC ``ISBI`` and BMC ``ISBI_1.5``.  Numbers have
gaps.  Labels are 0 background, 1 prostate: the files' 1 and 2 (zones) together.  Scans are kept whole;
recipes choose slices.

Source: trid/docs/method.md#prostate-mr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from common.datasets.raw.label_volumes import Grid, check_grid, read_grid, read_image, read_label
from common.datasets.raw.prepare import RawCase, Reader
from common.errors import InputError

__all__ = ["CASES", "READER"]

CASES = {
    "RUNMC": range(30),
    "BMC": range(30),
    "I2CVB": range(19),
    "UCL": (1, *range(26, 38)),
    "BIDMC": (0, *range(2, 13)),
    "HK": range(38, 50),
}
"""Published numbers of the scans by site: 37 is Case37."""

_OLDER_NAMES = {"RUNMC": "ISBI", "BMC": "ISBI_1.5"}
_SCAN = re.compile(r"(?P<case>[^.]+)\.nii(\.gz)?$")
_LABEL = re.compile(r"_segmentation$", re.IGNORECASE)
_HIGHEST = 2


class _Prostate(Reader):
    """Reads scans and labels of every site."""

    description = {
        "name": "Prostate-6",
        "description": "T2-weighted MR of the prostate from six sites",
        "reference": "as distributed with SAML (Liu et al., MICCAI 2020): NCI-ISBI 2013, I2CVB, PROMISE12",
        "tensorImageSize": "3D",
        "modality": {"0": "T2"},
        "labels": {"0": "background", "1": "prostate"},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The last site is the test list, all others train; site by site, sorted by file name.

        Raises:
            InputError: sites or scans are missing, scans have other names than the published ones, a scan has
                no label, or a site has two folders.
        """
        found = {site: _files(_folder(source, site)) for site in CASES}
        there = {site: files for site, files in found.items() if files}
        if not there:
            raise InputError(
                f"{source}: has no folder with scans; expected those of the sites, {', '.join(CASES)}: "
                f"correct --source"
            )
        for site, files in found.items():
            _check_site(_folder(source, site), files, CASES[site], partial=partial)
        names = [[f"{site}_{case}" for case in files] for site, files in there.items()]
        if len(names) == 1:
            return {"training": names[0], "test": []}
        return {"training": [name for of_site in names[:-1] for name in of_site], "test": names[-1]}

    def domain_of(self, source: Path, case: str) -> str:
        """The site."""
        return case.split("_", 1)[0]

    def read(self, source: Path, case: str) -> RawCase:
        """One scan with its label.

        Raises:
            InputError: a file cannot be read, has NaN or other label values, the two have different grids, or
                nothing is labelled.
        """
        site, name = case.split("_", 1)
        folder = _folder(source, site)
        scan, label_file = _files(folder)[name]
        if scan is None or label_file is None:  # list_cases refuses such cases
            raise InputError(f"{folder}: {name} lacks its scan or its label")
        grid = read_grid(scan)
        check_grid(read_grid(label_file), grid)
        label = read_label(label_file, highest=_HIGHEST) > 0
        if not label.any():
            raise InputError(f"{label_file}: is empty; expected a prostate: download it again")
        return RawCase(image=_image(grid), label=label.astype(np.uint8), affine=grid.affine)


READER = _Prostate()


def _folder(source: Path, site: str) -> Path:
    """The site's folder, under its older name where that is there."""
    folder, older = source / site, source / _OLDER_NAMES.get(site, site)
    if folder != older and folder.is_dir() and older.is_dir():
        raise InputError(
            f"{older}: is the older name of {site}, whose folder is there too; expected one of the two: move "
            f"the other away"
        )
    return older if older.is_dir() else folder


def _check_site(
    folder: Path, files: Mapping[str, Sequence[Path | None]], numbers: Sequence[int], *, partial: bool
) -> None:
    """Check a site's scans: the published ones, all of them unless ``partial``, each with its label."""
    for case, (scan, label) in files.items():
        if label is None or scan is None:
            lacking = "no label" if label is None else "no scan"
            raise InputError(
                f"{folder}: {case} has {lacking}; expected {case}.nii.gz and {case}_segmentation.nii.gz: "
                f"complete the download"
            )
    published = [f"Case{number:02d}" for number in numbers]
    surplus = [case for case in files if case not in published]
    if surplus:
        raise InputError(
            f"{folder}: has {surplus[0]}, which is none of the {len(published)} published scans "
            f"({published[0]} to {published[-1]}): is it another data set's folder?"
        )
    if len(files) < len(published) and not partial:
        missing = next(case for case in published if case not in files)
        raise InputError(
            f"{folder}: has {len(files)} scans; expected {len(published)}, {missing} is missing: complete "
            f"the download, or prepare what is there with  --partial true"
        )


def _files(folder: Path) -> dict[str, tuple[Path | None, Path | None]]:
    """Case name -> scan and label, by name; empty where there is no folder."""
    files: dict[str, tuple[Path | None, Path | None]] = {}
    for path in sorted(folder.glob("*.nii*")):
        match = _SCAN.match(path.name)
        if match is None:
            continue
        case, is_label = _LABEL.sub("", match["case"]), bool(_LABEL.search(match["case"]))
        scan, label = files.get(case, (None, None))
        files[case] = (scan, path) if is_label else (path, label)
    return dict(sorted(files.items()))


def _image(grid: Grid) -> np.ndarray:
    """(X, Y, Z) as in the file: integers stay integers."""
    image = read_image(grid)
    return image.astype(np.float32) if image.dtype.kind == "f" or image.dtype.itemsize > 4 else image
