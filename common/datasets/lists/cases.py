"""What a run takes from a data set: the cases to predict or to score, and the names of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.datasets.check.check import check_cases
from common.datasets.check.facts import read_facts
from common.datasets.check.findings import raise_on_findings
from common.datasets.check.planned_units import warn_of_other_units
from common.datasets.lists.case_list import CaseList, flat_map, has_label
from common.datasets.lists.datalist import DATALIST, inference_list
from common.datasets.lists.domains import domain_datalist
from common.datasets.lists.output_names import with_output_names
from common.datasets.plan.modalities import planned_cases, refuse_other_modalities
from common.errors import InputError

__all__ = ["class_names", "images_to_predict", "labelled_cases"]


def class_names(plan: Mapping[str, Any], num_classes: int) -> dict[int, str]:
    """Names of the classes 1..K-1 from a plan; "class c" where it names none."""
    return {c: plan["labels"].get(str(c), f"class {c}") for c in range(1, num_classes)}


def images_to_predict(
    dataset_dir: str | Path,
    *,
    channels: int,
    dims: int = 3,
    source_domains: str | Sequence[str] | None = None,
    plan: Mapping[str, Any] | None = None,
    modality: str | None = None,
    skip_others: bool = False,
) -> list[dict[str, Any]]:
    """The images of a folder (see :func:`common.datasets.inference_list`), every one read and checked.

    A case keeps its ``domain`` and ``modality``, where dataset.json gives them, and has the name of its
    results.

    Args:
        dataset_dir: folder with dataset.json or with images, or one image.
        channels: image channels that the network takes.
        dims: spatial axes, 2 or 3.
        source_domains: predict the cases of all other domains (:func:`common.datasets.domain_datalist`)
            instead of the test list.
        plan: of the weights; the log warns of scans in other units than the training's, the first by name.
        modality: of the images whose entries do not say: "MR".
        skip_others: leave out the cases of a modality that the plan does not have, which the log tells,
            unless it is all of them.

    Raises:
        InputError: no images, or some that cannot be predicted or whose results would have one name; the
            first is named.  Or one is of a modality that the plan does not have.
    """
    if source_domains is None:
        listed = inference_list(dataset_dir)
    else:
        listed = domain_datalist(dataset_dir, source_domains=source_domains, holdout=0)["test"]
    cases = flat_map(listed, lambda case: [_predicted(case, modality)])
    source = Path(dataset_dir) / DATALIST
    if skip_others:
        cases = planned_cases(cases, plan or {}, source)
    facts = read_facts({"test": cases})
    findings = check_cases(facts, channels=channels, classes=None, dims=dims)
    raise_on_findings(findings, source, options=f"--in_channels {channels}")
    refuse_other_modalities(cases, plan or {}, source)
    warn_of_other_units(facts, plan or {}, source)
    return with_output_names(cases)


def _predicted(case: Mapping[str, Any], modality: str | None) -> dict[str, Any]:
    """What a prediction needs of an entry."""
    kept = {key: case[key] for key in ("image", "domain", "modality") if case.get(key) is not None}
    return kept if modality is None else {"modality": modality, **kept}


def labelled_cases(
    datalist: Mapping[str, CaseList], name: str, *, option: str = "--evaluation_list"
) -> CaseList:
    """One list of a data set for scoring: every case must have a label.

    Args:
        datalist: the lists of a run, as :func:`common.datasets.read_datalist` gives them.
        name: name of the list.
        option: the option that chooses the list, for error messages.

    Raises:
        InputError: there is no such list, it is empty, or cases in it have no label.
    """
    cases = datalist.get(name)
    if not cases:
        folder = next(iter(datalist.values())).folder
        raise InputError(
            f"{folder / DATALIST}: the list {name!r} is empty or not there; choose another with {option} "
            f"({', '.join(key for key, value in datalist.items() if value)})"
        )
    lacking = [place for case, place in zip(cases, cases.places, strict=True) if not has_label(case)]
    if lacking:
        raise InputError(
            f"{cases.folder / DATALIST}: {lacking[0]} has no label ({len(lacking)} of the {len(cases)} cases "
            f"in {name!r}); add labels, or choose another list with {option}"
        )
    return cases
