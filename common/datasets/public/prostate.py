"""The prostate of six sites on T2-weighted MR: NCI-ISBI 2013, I2CVB and PROMISE12 as distributed with SAML.

Raw layout, NIfTI::

    RAW/BIDMC/Case00.nii.gz                   a scan
    RAW/BIDMC/Case00_segmentation.nii.gz      its label (also with a capital S)

and so for BMC, HK, I2CVB, RUNMC, UCL; numbers may have gaps.  Labels are 0 background, 1 prostate: the files'
1 and 2 (zones) together.  Scans are kept whole; recipes choose slices.

Source: trid/docs/method.md#prostate-mr; it gives sites and counts, but no file names.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from common.datasets.raw.label_volumes import Grid, check_grid, read_grid, read_image, read_label
from common.datasets.raw.prepare import RawCase, Reader
from common.errors import InputError

__all__ = ["READER", "SITES"]

SITES = {"RUNMC": 30, "BMC": 30, "I2CVB": 19, "UCL": 13, "BIDMC": 12, "HK": 12}
"""Number of scans by site, trid/docs/method.md#prostate-mr."""

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
            InputError: sites or scans are missing or too many, or a scan has no label.
        """
        found = {site: _files(source / site) for site in SITES}
        there = {site: files for site, files in found.items() if files}
        if not there:
            raise InputError(
                f"{source}: has no folder with scans; expected those of the sites, {', '.join(SITES)}: "
                f"correct --source"
            )
        for site, files in there.items():
            for case, (scan, label) in files.items():
                if label is None or scan is None:
                    lacking = "no label" if label is None else "no scan"
                    raise InputError(
                        f"{source / site}: {case} has {lacking}; expected {case}.nii.gz and "
                        f"{case}_segmentation.nii.gz: complete the download"
                    )
        wrong = [site for site, count in SITES.items() if len(found[site]) != count]
        surplus = [site for site in wrong if len(found[site]) > SITES[site]]
        if surplus or (wrong and not partial):
            site = (surplus or wrong)[0]
            how = (
                "is it another data set's folder?"
                if surplus
                else "complete the download, or prepare what is there with  --partial true"
            )
            raise InputError(f"{source / site}: has {len(found[site])} scans; expected {SITES[site]}: {how}")
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
        scan, label_file = _files(source / site)[name]
        if scan is None or label_file is None:  # list_cases refuses such cases
            raise InputError(f"{source / site}: {name} lacks its scan or its label")
        grid = read_grid(scan)
        check_grid(read_grid(label_file), grid)
        label = read_label(label_file, highest=_HIGHEST) > 0
        if not label.any():
            raise InputError(f"{label_file}: is empty; expected a prostate: download it again")
        return RawCase(image=_image(grid), label=label.astype(np.uint8), affine=grid.affine)


READER = _Prostate()


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
