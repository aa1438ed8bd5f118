"""Class probabilities as files, for ensembles with other programs and for looking at doubtful places."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform

from common.datasets.lists.output_names import output_path
from common.files import atomic_path
from common.inference.decision import mean_on_own_grid
from common.inference.own_grid import own_grid
from common.tensors.plain import plain

__all__ = ["SaveProbabilitiesd"]

_STEPS = 2**16 - 1


class SaveProbabilitiesd(MapTransform):
    """Write the probabilities that are decided on as ``OUTPUT_DIR/NAME_probabilities.nii.gz``.

    The volume lies on the scan's own grid, with the classes as fourth axis, in 16-bit steps of 1/65535 (which
    NIfTI readers scale back).  It takes 2 K bytes of memory per voxel of the scan while it is written.

    Args:
        keys: the network's probabilities (K, *S).
        output_dir: folder.
        active: whether anything is written.
        regions: channels are regions, as ``DecideOnOwnGridd`` has it.
        orig_keys: the image that the network saw, with the record of its preprocessing.
        further_key: where the case's further votes stand, if it has any.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        output_dir: str | Path,
        active: bool = True,
        regions: bool = False,
        orig_keys: str = "image",
        further_key: str = "further",
    ) -> None:
        super().__init__(keys)
        self.output_dir, self.active, self.regions = Path(output_dir), active, regions
        self.orig_keys, self.further_key = orig_keys, further_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the file.

        Raises:
            InputError: the folder cannot be written to.
        """
        result = dict(data)
        if not self.active:
            return result
        image = result[self.orig_keys]
        grid = own_grid(image)
        for key in self.key_iterator(result):
            scores = plain(result[key]).detach()
            steps = np.empty((*grid.shape, len(scores)), dtype=np.uint16)
            further = result.get(self.further_key, ())
            for voxels, values in mean_on_own_grid(scores, grid, regions=self.regions, further=further):
                steps[voxels] = (values * _STEPS).round().movedim(0, -1).cpu().numpy()
            file = nib.Nifti1Image(steps, grid.affine)
            file.header.set_slope_inter(1 / _STEPS, 0)
            target = output_path(
                self.output_dir, result, image.meta["filename_or_obj"], "_probabilities.nii.gz"
            )
            with atomic_path(target) as temporary:
                nib.save(file, temporary)
        return result
