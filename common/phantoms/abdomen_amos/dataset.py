"""The phantom ``abdomen_amos``: CT and MR scans of abdomen and pelvis with AMOS22's fifteen organs.

The grid is coarse (about 4.3 x 4.3 x 5.3 mm in CT) so that a network can train on whole bodies on a CPU; real
scans have about 0.7 x 0.7 x 2 to 5 mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.phantoms.making.arguments import require_grid, require_seed
from common.phantoms.making.store import SECTIONS, Entry, ensure_phantom
from common.phantoms.making.volumes import write_labelled_volume

__all__ = ["make"]

_VERSION = 1  # raise it with every change to what the cases hold: folders of older versions are rebuilt
_NAME = "abdomen_amos"


def make(
    folder: str | Path,
    *,
    training: int = 16,
    validation: int = 4,
    test: int = 4,
    mr_training: int = 0,
    mr_validation: int = 0,
    mr_test: int = 0,
    shape: Sequence[int] = (88, 68, 72),
    spacing: Sequence[float] = (4.25, 4.25, 5.25),
    mr_shape: Sequence[int] = (80, 64, 56),
    mr_spacing: Sequence[float] = (4.6, 4.6, 6.8),
    seed: int = 0,
) -> str:
    """Make the phantom in ``folder`` on first use, and return the folder.

    Labels are uint8 0..15: 1 spleen, 2 right kidney, 3 left kidney, 4 gallbladder, 5 oesophagus, 6 liver,
    7 stomach, 8 aorta, 9 postcava, 10 pancreas, 11 right adrenal gland, 12 left adrenal gland, 13 duodenum,
    14 bladder, 15 prostate or uterus.  CT is int16 HU in -1024..2000, MR int16 in arbitrary units from 0 with
    a T2-like contrast and a bias field; patients of both are drawn alike.  The gallbladder is missing in one
    of eight, and a scan that ends above the pelvis (one of five in CT, one of two in MR) has fewer slices and
    shows neither bladder nor prostate or uterus.  Each entry of ``dataset.json`` names its ``modality``, CT
    cases before MR cases.  Stored as LAS, in scanner coordinates.  A case depends on shape, spacing,
    ``seed``, modality, its list and its place among that list's cases of its modality, not on the counts.

    Args:
        folder: a Decathlon-style data set; rebuilt if it was made with other arguments.
        training: number of CT cases in this list.
        validation: number of CT cases in this list.
        test: number of CT cases in this list.
        mr_training: number of MR cases in the training list.
        mr_validation: number of MR cases in the validation list.
        mr_test: number of MR cases in the test list.
        shape: voxels (X, Y, Z) of a CT scan with the pelvis.
        spacing: mm (X, Y, Z) of CT; each case's own differs by a few percent.
        mr_shape: voxels (X, Y, Z) of an MR scan with the pelvis.
        mr_spacing: mm (X, Y, Z) of MR.
        seed: whole number from 0.

    Raises:
        InputError: an argument is out of range, the folder cannot be written or was not made here.
    """
    grids = {
        "CT": require_grid(_NAME, shape, spacing),
        "MR": require_grid(f"{_NAME} (MR)", mr_shape, mr_spacing),
    }
    require_seed(_NAME, seed)
    counts = {
        "CT": dict(zip(SECTIONS, (training, validation, test), strict=True)),
        "MR": dict(zip(SECTIONS, (mr_training, mr_validation, mr_test), strict=True)),
    }
    _require_counts(counts)
    places = {
        section: {
            f"{_NAME}_{modality.lower()}_{section}_{index:03d}": (modality, index)
            for modality, of_section in counts.items()
            for index in range(of_section[section])
        }
        for section in SECTIONS
    }

    def write_case(root: Path, subset: str, case: str, _: np.random.Generator) -> Entry:
        from common.phantoms.abdomen_amos.case import make_case

        section = next(section for section in SECTIONS if case in places[section])
        modality, index = places[section][case]
        rng = np.random.default_rng([seed, SECTIONS.index(section), index, list(grids).index(modality)])
        image, label, affine = make_case(modality, *grids[modality], rng)
        entry = write_labelled_volume(root, subset, case, image=image, label=label, affine=affine)
        return {**entry, "modality": modality}

    from common.phantoms.abdomen_amos.tissues import ORGANS

    present = [modality for modality, of_section in counts.items() if any(of_section.values())]
    return ensure_phantom(
        folder,
        description={
            "name": _NAME,
            "description": "synthetic CT and MR of abdomen and pelvis, fifteen organs; no patient data",
            "tensorImageSize": "3D",
            "modality": {"0": " or ".join(present or ["CT"])},
            "labels": {str(value): name for value, name in enumerate(ORGANS)},
        },
        parameters={
            "name": _NAME,
            "version": _VERSION,
            "seed": seed,
            "grids": grids,
            "modalities": counts,
        },
        counts={section: len(places[section]) for section in SECTIONS},
        write_case=write_case,
        names={section: list(names) for section, names in places.items()},
    )


def _require_counts(counts: dict[str, dict[str, int]]) -> None:
    for modality, of_section in counts.items():
        for section, count in of_section.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                option = section if modality == "CT" else f"mr_{section}"
                raise InputError(f"{_NAME}: {option}={count!r}; expected a whole number of cases from 0")
