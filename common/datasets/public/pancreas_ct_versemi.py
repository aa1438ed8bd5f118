"""Pancreas-CT as VerSemi distributes it: 80 of its scans, prepared, under numbers of their own.

Raw layout (``source`` or its ``data``)::

    data0001.h5    image and label, 1 mm, cropped and z-scored

62 scans to train, 18 to test.  The numbers are not those of ``pancreas_ct``, and nothing says which scan is
which.
"""

from __future__ import annotations

from pathlib import Path

from common.datasets.public.pancreas_ct import PancreasCt, prepared_case
from common.datasets.raw.prepare import RawCase

__all__ = ["READER"]

_FOLDERS = (".", "data", "Pancreas", "data/Pancreas")


class _VerSemi(PancreasCt):
    """Reads scans that are prepared."""

    lists = "pancreas_ct_versemi"
    description = {
        **PancreasCt.description,
        "name": "Pancreas-CT (VerSemi)",
        "description": (
            "Pancreas in contrast-enhanced CT, 1 mm, cropped around the pancreas and z-scored, as VerSemi "
            "distributes and divides it. The orientation is unknown."
        ),
    }

    def read(self, source: Path, case: str) -> RawCase:
        """One scan with its label."""
        return prepared_case(self.find(source, case))

    def find(self, source: Path, case: str) -> Path:
        """The scan's file, or where it was looked for."""
        files = [source / below / f"{case}.h5" for below in _FOLDERS]
        return next((path for path in files if path.is_file()), files[0])


READER = _VerSemi()
