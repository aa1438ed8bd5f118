"""Predictions as files: whole or absent, each under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.data import ImageWriter
from monai.transforms import SaveImaged

from common.datasets.lists.output_names import output_path
from common.files import atomic_path

__all__ = ["SavePredictiond"]


class SavePredictiond(SaveImaged):
    """Write a prediction on its image's own grid, in the format that ``output_ext`` names.

    The file is ``OUTPUT_DIR/NAME_POSTFIX.EXT``; :mod:`common.datasets.lists.output_names` has the name.
    Tools that take predictions from memory leave this transform out, as they do MONAI's own: by its class or
    by its name's first word.

    Args:
        keys: what to write, (C, *S), with the affine and metadata of its image.
        output_dir: folder.
        output_ext: such as ".nii.gz" or ".png".
        output_postfix: of the file's name.
        output_dtype: of the voxels.
    """

    def __init__(
        self,
        keys: str,
        *,
        output_dir: str | Path,
        output_ext: str,
        output_postfix: str,
        output_dtype: torch.dtype = torch.uint8,
    ) -> None:
        super().__init__(
            keys, output_dir=output_dir, output_ext=output_ext, output_postfix=output_postfix,
            output_dtype=output_dtype, separate_folder=False, resample=False, print_log=False,
        )  # fmt: skip
        self.output_dir, self.postfix = Path(output_dir), output_postfix
        self._errors: list[OSError] = []
        self.saver.writers = tuple(_noting(writer, self._errors) for writer in self.saver.writers)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write the files and return the case unchanged.

        Raises:
            InputError: the folder cannot be written to, or a file would overwrite the image.
        """
        case = dict(data)
        for key in self.key_iterator(case):
            ending = f"_{self.postfix}{self.saver.output_ext}" if self.postfix else self.saver.output_ext
            target = output_path(self.output_dir, case, case[key].meta["filename_or_obj"], ending)
            with atomic_path(target) as temporary:
                self._write(case[key], temporary)
        return case

    def _write(self, image: Any, file: Path) -> None:
        """MONAI tells of a full disk only in the text of a traceback, in an error of another kind."""
        self._errors.clear()
        try:
            self.saver(image, filename=str(file).removesuffix(self.saver.output_ext))
        except RuntimeError:
            if self._errors:
                raise self._errors[0] from None
            raise


def _noting(writer: type[ImageWriter], errors: list[OSError]) -> type[ImageWriter]:
    """The writer, which keeps the errors of the system."""

    class Noting(writer):
        def write(self, *args: Any, **kwargs: Any) -> None:
            try:
                super().write(*args, **kwargs)
            except OSError as error:
                errors.append(error)
                raise

    return Noting
