"""One case of the phantom ``abdomen_amos``: a random patient, painted down to the pelvis, in CT or MR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.phantoms.abdomen.case import Plan, paint_patient
from common.phantoms.abdomen_amos.adrenals import paint_adrenals
from common.phantoms.abdomen_amos.pelvis import paint_pelvis
from common.phantoms.abdomen_amos.tissues import (
    DUODENUM,
    ORGANS,
    ct_texture,
    draw_ct,
    draw_mr,
    label_of_part,
    mr_texture,
)
from common.phantoms.making.ct import majority_label, scan
from common.phantoms.making.mr import magnitude_scan
from common.phantoms.making.placement import scanner_affine

__all__ = ["make_case"]

_TOP_MM = 100.0  # the scan's upper end: above the domes of the diaphragm
_SHORT_SHARE = 0.6  # of the range, where it ends above the pelvis
_SHORT_CHANCE = {"CT": 0.2, "MR": 0.5}
_FOLLOWS = 0.5
_OFF_CENTRE_SD_MM = (9.0, 8.0, 6.0)
_NO_GALLBLADDER_CHANCE = 0.12  # removed by surgery
_DEGREES = (12.0, -12.0, -28.0)  # upper poles backwards and to the spine, hila forwards
_MR_NOISE = (0.03, 0.08)


def make_case(
    modality: str, shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw, paint and scan one patient.

    Args:
        modality: ``CT`` or ``MR``.  It decides nothing about the body but how often the scan is short.
        shape: voxels (X, Y, Z); a scan that ends above the pelvis has fewer along Z.
        spacing: mm (X, Y, Z), before the case's own deviation of at most 6 percent.
        rng: this case's random numbers.

    Returns:
        image (X, Y, Z) int16, HU of CT or arbitrary units from 0 of MR; label (X, Y, Z) uint8, an index into
        ``ORGANS``; affine (4, 4), voxel index to RAS+ mm.
    """
    shape = np.array(shape)
    if rng.random() < _SHORT_CHANCE[modality]:
        shape[2] = max(round(_SHORT_SHARE * shape[2]), 1)
    plan = Plan(
        middle=(0.0, 0.0, _TOP_MM - shape[2] * spacing[2] / 2),
        follows=_FOLLOWS,
        off_centre=_OFF_CENTRE_SD_MM,
        no_gallbladder=_NO_GALLBLADDER_CHANCE,
        kidney_degrees=_DEGREES,
        duodenum=DUODENUM,
    )
    patient = paint_patient(shape, spacing, rng, plan=plan)
    canvas = patient.canvas
    paint_pelvis(canvas, patient.landmarks, rng)
    paint_adrenals(patient, rng)
    if modality == "CT":
        image = scan(canvas.tissue, attenuation=draw_ct(rng), texture=ct_texture(), rng=rng)
    else:
        image = magnitude_scan(
            canvas.tissue, signal=draw_mr(rng), texture=mr_texture(), rng=rng, noise_sd=_MR_NOISE
        )
    label = majority_label(label_of_part()[canvas.tissue], classes=len(ORGANS))
    return image, label, scanner_affine(shape, patient.spacing, rng)
