"""What ``torch.save`` writes: whole and on the disk, or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from common.files import atomic_path

__all__ = ["write_checkpoint"]


class _Noting(io.FileIO):
    """A file that keeps the error of its last write.

    PyTorch turns it into a ``RuntimeError`` about positions in the file.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view):
                done += super().write(view[done:]) or 0
        except OSError as error:
            self.error = error
            raise
        return done


def write_checkpoint(path: str | Path, value: Any, *, kept: str | None = None) -> None:
    """Write a file that :func:`common.checkpoints.store.read_checkpoint` reads.

    Args:
        path: the file.
        value: tensors, numbers and text, in dicts and lists.
        kept: what is there if the disk is full, as :func:`common.files.atomic_path` takes it.

    Raises:
        InputError: the folder cannot be written to.
        DiskError: the disk is full, or the like; the file is as it was.
    """
    with atomic_path(path, durable=True, kept=kept) as temporary, _Noting(temporary, "w") as file:
        try:
            torch.save(value, file)
        except RuntimeError:
            if file.error is None:
                raise
            raise file.error from None
