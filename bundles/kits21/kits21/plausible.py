"""Training on plausible annotations instead of the majority: each iteration may see a different rater.

Every training case is listed once for each of its samples (:mod:`kits21.samples`), so that drawing a case at
random also draws one of its annotations; that sample then replaces the label map that was read.

Source: kits21/docs/method.md#training-on-plausible-annotations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from common.datasets.lists.case_list import flat_map
from common.datasets.raw.kits21_annotations import paint
from common.errors import InputError
from kits21.references import Reference, find_references
from kits21.samples import Sample, plan_samples

__all__ = ["PlausibleLabeld", "entry_per_sample"]


def entry_per_sample(
    cases: Iterable[Mapping[str, Any]], annotations_dir: str | Path | None
) -> list[dict[str, Any]]:
    """The cases, each repeated for every plausible annotation, with the keys :class:`PlausibleLabeld` reads.

    Args:
        cases: each with a ``label`` file named after the case, ``case_00012.nii.gz``.
        annotations_dir: the challenge's release, with ``case_00012/segmentations/...`` in it or in its
            ``data``.

    Raises:
        InputError: no folder is given, or a case has no annotations there.
    """
    if annotations_dir is None:
        raise InputError(
            "annotations_dir: not given; expected the folder of KiTS21's release, with the annotations that "
            "the training labels were made of: --annotations_dir RAW"
        )
    references = {reference.case: reference for reference in find_references(annotations_dir)}

    def entries_of(case: Mapping[str, Any]) -> list[dict[str, Any]]:
        label = Path(case["label"])
        name = label.name.removesuffix(".gz").removesuffix(".nii")
        if name not in references or references[name].folder is None:
            raise InputError(
                f"{label}: {annotations_dir} has no folder {name}/segmentations; expected the annotations of "
                "every training case: correct --annotations_dir"
            )
        reference = Reference(name, label, references[name].folder)
        numbers = range(len(_samples(reference)))
        return [{**case, "annotations": str(reference.folder), "sample": n} for n in numbers]

    return flat_map(cases, entries_of)


def _samples(reference: Reference) -> list[Sample]:
    counts = {region: [len(one) for one in instances] for region, instances in reference.files.items()}
    return plan_samples(reference.number, counts)


class PlausibleLabeld(MapTransform):
    """Replace an entry's label map, (1, X, Y, Z) as in its file, by the plausible annotation that it names.

    Entries without ``annotations`` keep their label map.

    Raises:
        InputError: an annotation cannot be read, or is on another grid than the label map.
    """

    def __init__(self, keys: KeysCollection = "label") -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The entry with its label maps replaced."""
        case = dict(data)
        if "annotations" not in case:
            return case
        for key in self.key_iterator(case):
            folder = Path(case["annotations"])
            reference = Reference(folder.name, Path(case[key].meta["filename_or_obj"]), folder)
            sample = _samples(reference)[case["sample"]]
            files = sample.take(reference.files)
            label = paint({region: list(map(reference.mask, taken)) for region, taken in files.items()})
            painted = case[key].clone()
            painted[0] = torch.from_numpy(label.T.copy()).to(painted)
            case[key] = painted
        return case
