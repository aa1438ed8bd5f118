"""KiTS21's annotations: files, and how several annotators' masks become one label map.

Every instance of a region (each kidney, tumor, cyst) was delineated by several annotators, one file each::

    case_00000/segmentations/<region>_instance-<i>_annotation-<a>.nii.gz

Instances need not be numbered from 1, nor without gaps: one may have been taken out of a release.

An instance's annotations are combined voxel by voxel, the instances of a region united, and the regions
painted one over the other: kidney, cyst, tumor, so that a tumor voxel is never something else.  Files of
ureters, arteries and veins, which early releases have, are not part of the challenge.

Source: Heller et al., arXiv 2307.01984; kits21/docs/method.md#labels-hecs-aggregation.
Axes: *S spatial, any order, the same for all masks of a case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from common.errors import InputError

__all__ = [
    "Annotations",
    "Item",
    "REGIONS",
    "RULES",
    "aggregate",
    "aggregated_file",
    "annotation_files",
    "case_folders",
    "paint",
]

REGIONS = {"kidney": 1, "tumor": 2, "cyst": 3}  # name in the file -> label value
RULES = ("MAJ", "OR", "AND")
_PAINTED = ("kidney", "cyst", "tumor")  # later ones overwrite
_FILE = re.compile(r"(kidney|tumor|cyst)_instance-(\d+)_annotation-(\d+)\.nii\.gz")
_CASE = re.compile(r"case_\d{5}")

Item = TypeVar("Item")
Annotations = Mapping[str, Sequence[Sequence[Item]]]  # region -> instances -> annotations


def case_folders(source: Path) -> dict[str, Path]:
    """Name -> folder of the cases in a release, in ``source`` or its ``data``.

    A case is a folder ``case_00000`` and so on, or one with a folder ``segmentations`` in it.

    Raises:
        InputError: there is none.
    """
    for root in (source, source / "data"):
        if root.is_dir():
            found = {f.name: f for f in sorted(root.iterdir()) if f.is_dir() and _is_case(f)}
            if found:
                return found
    raise InputError(
        f"{source}: has no folders case_00000, case_00001, ..., nor has its 'data'; "
        f"expected KiTS21's release: correct the path"
    )


def _is_case(folder: Path) -> bool:
    return bool(_CASE.fullmatch(folder.name)) or (folder / "segmentations").is_dir()


def aggregated_file(folder: Path, rule: str) -> Path:
    """The release's own aggregation of a case by one of ``RULES``; it may not be there."""
    return folder / f"aggregated_{rule}_seg.nii.gz"


def annotation_files(folder: Path) -> Annotations[Path]:
    """The files of a case's ``segmentations``, by region, instance and annotation, each in ascending order.

    Raises:
        InputError: there is no kidney, or an instance's annotations are not numbered consecutively from 1.
    """
    numbered: dict[str, dict[int, dict[int, Path]]] = {region: {} for region in REGIONS}
    for path in sorted((folder / "segmentations").glob("*.nii.gz")):
        named = _FILE.fullmatch(path.name)
        if named:
            region, instance, annotation = named[1], int(named[2]), int(named[3])
            numbered[region].setdefault(instance, {})[annotation] = path
    if not numbered["kidney"]:
        raise InputError(
            f"{folder / 'segmentations'}: no file kidney_instance-<i>_annotation-<a>.nii.gz; "
            f"expected at least one kidney: restore the case from the release"
        )
    for region, instances in numbered.items():
        for instance, files in instances.items():
            _check_numbers(folder, f"annotations of {region} instance {instance}", files)
    return {
        region: [[one[a] for a in sorted(one)] for _, one in sorted(instances.items())]
        for region, instances in numbered.items()
    }


def _check_numbers(folder: Path, what: str, found: Mapping[int, object]) -> None:
    if sorted(found) != list(range(1, len(found) + 1)):
        raise InputError(
            f"{folder / 'segmentations'}: {what} have the numbers {sorted(found)}; expected "
            f"{list(range(1, len(found) + 1))}: a file is missing, restore the case from the release"
        )


def aggregate(annotations: Annotations[np.ndarray], rule: str = "MAJ") -> np.ndarray:
    """One label map (*S) uint8 of a case's annotations, bool (*S) or 0/1 each.

    Args:
        annotations: masks by region, instance and annotation; a region may be missing or without instances.
        rule: ``MAJ`` more than half of an instance's annotations, ``OR`` any, ``AND`` all.

    Raises:
        ValueError: unknown rule or region, an instance without annotations, or no instance at all.
    """
    if rule not in RULES:
        raise ValueError(f"aggregate: rule '{rule}'; need one of {', '.join(RULES)}")
    combined = {
        region: [_combined(one, rule) for one in instances] for region, instances in annotations.items()
    }
    return paint(combined)


def _combined(masks: Sequence[np.ndarray], rule: str) -> np.ndarray:
    if not len(masks):
        raise ValueError("aggregate: an instance has no annotations; need at least one")
    votes = np.zeros(masks[0].shape, np.uint8)
    for mask in masks:
        votes += mask.astype(bool)
    if rule == "MAJ":
        return 2 * votes.astype(np.uint16) > len(masks)
    return votes > 0 if rule == "OR" else votes == len(masks)


def paint(instances: Mapping[str, Sequence[np.ndarray]]) -> np.ndarray:
    """One label map (*S) uint8 of one mask per instance: kidney, then cyst over it, then tumor.

    Raises:
        ValueError: unknown region, or no instance at all.
    """
    unknown = sorted(set(instances) - set(REGIONS))
    masks = list(_masks(instances))
    if unknown or not masks:
        raise ValueError(f"paint: regions {sorted(instances)}; need instances of {', '.join(REGIONS)}")
    label = np.zeros(masks[0].shape, np.uint8)
    for region in _PAINTED:
        for mask in instances.get(region, ()):
            label[mask.astype(bool)] = REGIONS[region]
    return label


def _masks(instances: Mapping[str, Sequence[np.ndarray]]) -> Iterator[np.ndarray]:
    for masks in instances.values():
        yield from masks
