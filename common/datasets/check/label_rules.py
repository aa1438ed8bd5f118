"""What a label must be: readable, on its image's grid, integer, and within the classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from common.datasets.check.facts import CaseFacts, ImageFacts, LabelFacts
from common.datasets.check.findings import Finding
from common.datasets.check.grids import GRID_TOLERANCE, grid_distance
from common.datasets.check.image_rules import is_affine
from common.datasets.check.label_values import mapped, repair_for_values, shown_values
from common.datasets.check.rules import Rules, repair_file

__all__ = ["label_findings"]


def label_findings(case: CaseFacts, rules: Rules) -> Iterator[Finding]:
    """Everything to repair in the label of one case."""
    label = case.label
    if label is None:
        if case.split in rules.labelled:
            yield Finding(
                case=case.name,
                file="",
                key="label",
                found="is not given",
                expected="the path of a label file",
                repair='add "label" to the entry, or remove the case',
            )
        return
    if label.error:
        repair = repair_file(label.error)
        yield Finding(case.name, label.bad_file, "label", label.error, "a label map", repair)
        return
    about = partial(Finding, case.name, label.files[0] if label.files else "", "label")
    if label.files and not case.image.error:
        yield from _grid(case.image, label, about)
    yield from _values(label, rules, about)


def _grid(image: ImageFacts, label: LabelFacts, about: Callable[..., Finding]) -> Iterator[Finding]:
    if label.shape != image.shape:
        yield about(
            found=f"has shape {label.shape}",
            expected=f"the image's {image.shape}",
            repair="resample the label to the image's grid (nearest neighbour), or pair the right files",
        )
        return
    if image.affine is None or label.affine is None or not is_affine(image.affine):
        return
    distance = grid_distance(image.shape, image.affine, label.affine)
    if not distance <= GRID_TOLERANCE:
        yield about(
            found=f"lies up to {distance:.3g} voxels beside the image (affine)",
            expected="the image's affine",
            repair="copy the image's header to the label if the arrays match, else resample it (nearest)",
        )


def _values(label: LabelFacts, rules: Rules, about: Callable[..., Finding]) -> Iterator[Finding]:
    if label.non_integer:
        example = next((value for value in label.values if value != int(value)), float("nan"))
        yield about(
            found=f"has values such as {example:g} in {label.non_integer:.2%} of its voxels",
            expected="integers",
            repair="resample the label with nearest neighbour instead of interpolation, and save it again",
        )
        return
    values = mapped(label.values, rules.label_map)
    bad = values - rules.allowed
    if rules.allowed and bad:
        yield about(
            found=f"has values {shown_values(values)}",
            expected=_shown_allowed(rules.allowed),
            repair=repair_for_values(bad, rules.everywhere, rules.classes, rules.label_map),
        )
    elif label.files and not any(values):
        yield about(
            found="has no foreground",
            expected="at least one labelled voxel",
            repair="look at the file; keep the case only if there is truly nothing to label",
            severity="warning",
        )


def _shown_allowed(allowed: frozenset[float]) -> str:
    contiguous = allowed == set(range(len(allowed)))
    return f"0..{len(allowed) - 1}" if contiguous else shown_values(allowed)
