import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory, monkeypatch):
    """A cache for the test alone; the user's is left untouched."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


class TinyDataset:
    """A data set of small volumes on disk, (6, 5, 4) voxels of 1 x 2 x 3 mm, three label values."""

    shape = (6, 5, 4)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])

    def __init__(self, root: Path, cases: int = 4):
        self.root = root
        self.training = [
            {"image": self.write(f"imagesTr/c{i}.nii.gz", self.image(i)),
             "label": self.write(f"labelsTr/c{i}.nii.gz", self.label())}
            for i in range(cases)
        ]  # fmt: skip
        self.test = [{"image": self.write("imagesTs/t0.nii.gz", self.image(99))}]
        self.save()

    def image(self, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(-1000, 1500, self.shape).astype(np.int16)

    def label(self) -> np.ndarray:
        label = np.zeros(self.shape, np.uint8)
        label[1:3, 1:3, 1:3] = 1
        label[4:, :, :] = 2
        return label

    def write(self, name: str, array: np.ndarray, affine: np.ndarray | None = None) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, self.affine if affine is None else affine), path)
        return name

    def save(self, **other) -> None:
        description = {
            "name": "Tiny",
            "modality": {"0": "CT"},
            "labels": {"0": "background", "1": "liver", "2": "tumour"},
            "training": self.training,
            "test": self.test,
        }
        (self.root / "dataset.json").write_text(json.dumps(description | other))


@pytest.fixture
def tiny(tmp_path) -> TinyDataset:
    return TinyDataset(tmp_path / "data set")
