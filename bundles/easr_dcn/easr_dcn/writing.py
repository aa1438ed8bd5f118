"""The files of a registration: warped image, displacement field, warped labels, checkerboard.

The moving files are resampled once, from their own grids onto the fixed file's grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.data import MetaTensor
from monai.transforms import LoadImage, Transform
from torch import Tensor

from common.datasets.lists.output_names import output_path
from common.evaluation.drawing.optional import optional_picture
from common.files import atomic_path
from common.registration.field_file import write_field
from common.registration.world import displacement_in_mm, resample_field, warp_in_world
from common.tensors.plain import plain
from easr_dcn.drawing import draw_checkerboard

__all__ = ["WritePaird"]


class WritePaird(Transform):
    """Apply a displacement (``pred``, on the network's grid) to the files of a pair and write the results.

    ``MOVING_to_FIXED_<postfix>.nii.gz``: the moving image on the fixed one's grid; ``..._field.nii.gz``: the
    displacement (:mod:`common.registration.field_file`); ``..._label.nii.gz``: the moving labels, if any, by
    nearest neighbour; ``..._checkerboard.png``: warped and fixed image in alternating squares.

    Args:
        output_dir: folder.
        postfix: of the warped image.
    """

    def __init__(self, output_dir: str | Path, *, postfix: str = "warped") -> None:
        self.output_dir, self.postfix = Path(output_dir), postfix
        self.load = LoadImage(image_only=True, ensure_channel_first=True)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write the files and return the case unchanged."""
        moving, fixed = (self.load(data[f"{role}_file"]) for role in ("moving", "fixed"))
        onto = fixed.affine
        working = data["image"].affine
        field = displacement_in_mm(plain(data["pred"]).float()[None].cpu(), working)
        field = resample_field(field, working, fixed.shape[1:], onto)
        warped = warp_in_world(plain(moving).float()[None], moving.affine, field, onto)[0, 0]

        def place(ending: str) -> Path:
            return output_path(self.output_dir, data, data["moving_file"], ending)

        _save(place(f"_{self.postfix}.nii.gz"), warped, onto, np.float32)
        write_field(place("_field.nii.gz"), field[0].movedim(0, -1).numpy(), onto.numpy())
        if data.get("moving_label_file"):
            label = self.load(data["moving_label_file"])
            found = warp_in_world(plain(label)[None], label.affine, field, onto, mode="nearest")[0, 0]
            _save(place("_label.nii.gz"), found, onto, np.uint8 if label.max() < 256 else np.int16)
        picture = place("_checkerboard.png")
        with optional_picture(picture):
            draw_checkerboard(warped, plain(fixed)[0], picture)
        return dict(data)


def _save(path: Path, volume: Tensor, affine: Tensor | MetaTensor, dtype: type) -> None:
    nifti = nib.Nifti1Image(volume.numpy().astype(dtype), affine.numpy())
    with atomic_path(path) as temporary:
        nib.save(nifti, temporary)
