"""Predictions as files: the challenge's 4D image and the exclusive classes, or masks of chosen structures.

    case.mha              4D, 0 or 1, a volume for each structure in the challenge's order
    case_organs.nii.gz    the exclusive classes
    case/Brain.nii.gz     with ``structures``: the masks of those alone

Source: segrap2023/docs/method.md#files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.transforms import SaveImaged
from monai.utils import MetaKeys

from common.datasets.lists.output_names import output_path
from common.datasets.raw.segrap_classes import Structures, expand, membership
from common.errors import InputError
from common.files import atomic_path
from common.tensors.plain import plain
from segrap2023.stacks import read_header, write_stack
from segrap2023.structures import structures_of

__all__ = ["SaveStructuresd", "chosen_structures"]


def chosen_structures(names: Sequence[str] | str | None, known: Structures) -> list[str]:
    """The structures to write; empty for all of them.

    Args:
        names: of structures, or None.
        known: all there are.

    Raises:
        InputError: a name is none of them; the message lists these.
    """
    chosen = list(names or []) if names is None or isinstance(names, list | tuple) else [names]
    wrong = [name for name in chosen if name not in known]
    if wrong:
        raise InputError(f"structures: {wrong[0]!r} is none; expected of: {', '.join(known)}")
    return chosen


class SaveStructuresd(SaveImaged):
    """Write the structures of a label map, on its image's own grid.

    Tools that take predictions from memory leave this transform out, as they do MONAI's own.

    Args:
        keys: label map (1, X, Y, Z) of the exclusive classes, with the affine and metadata of its image.
        output_dir: folder.
        output_ext: of the 4D image, such as ".mha".
        output_postfix: of the label map's name; "organs" gives ``case_organs.nii.gz``.
        task: "organs" or "tumours".
        names: of the network's classes, see :func:`segrap2023.structures.structures_of`.
        structures: names of those to write, each as a mask of its own; None for the two files with all.
    """

    def __init__(
        self,
        keys: str,
        *,
        output_dir: str | Path,
        output_ext: str = ".mha",
        output_postfix: str = "organs",
        task: str = "organs",
        names: Mapping[int, str] | None = None,
        structures: Sequence[str] | str | None = None,
    ) -> None:
        super().__init__(keys, output_dir=output_dir, separate_folder=False, print_log=False)
        self.folder, self.ending, self.postfix = Path(output_dir), output_ext, output_postfix
        self.structures = structures_of(task, names)
        self.chosen = chosen_structures(structures, self.structures)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write the files, and note the label map, or the first mask, as ``saved_to`` of its metadata.

        Raises:
            InputError: the folder cannot be written to, or a file would overwrite the image, or the 4D file
                of other structures, such as those of the other task.
        """
        case = dict(data)
        for key in self.key_iterator(case):
            label = case[key]
            fine = plain(label)[0].cpu().numpy().astype(np.uint8)
            affine = np.asarray(label.affine, np.float64)
            if self.chosen:
                written = [self._mask(case, label.meta, fine, affine, name) for name in self.chosen]
                case[key].meta[MetaKeys.SAVED_TO] = written[0]
                continue
            file = label.meta["filename_or_obj"]
            classes = output_path(self.folder, case, file, f"_{self.postfix}.nii.gz")
            stack = output_path(self.folder, case, file, self.ending)
            self._refuse_other(stack)
            _write_volume(classes, fine, affine)
            write_stack(stack, self._masks(fine), affine)
            case[key].meta[MetaKeys.SAVED_TO] = str(classes)
        return case

    def _refuse_other(self, stack: Path) -> None:
        if not stack.is_file():
            return
        count = read_header(stack)[1]
        if count != len(self.structures):
            raise InputError(
                f"{stack}: holds {count} structures, not these {len(self.structures)} (from "
                f"{next(iter(self.structures))} on), and would be overwritten; give another folder with "
                "--output_dir, or take the file away"
            )

    def _masks(self, fine: np.ndarray) -> np.ndarray:
        """(C, X, Y, Z), made in the file's order: of a whole scan they take gigabytes, and are there once."""
        return expand(np.ascontiguousarray(fine.T), self.structures).transpose(0, 3, 2, 1)

    def _mask(
        self,
        case: Mapping[str, Any],
        meta: Mapping[str, Any],
        fine: np.ndarray,
        affine: np.ndarray,
        name: str,
    ) -> str:
        target = output_path(self.folder, case, meta["filename_or_obj"], f"/{name}.nii.gz")
        members = membership(self.structures)[list(self.structures).index(name)]
        _write_volume(target, members[fine].astype(np.uint8), affine)
        return str(target)


def _write_volume(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        nib.save(nib.Nifti1Image(voxels, affine), temporary)
