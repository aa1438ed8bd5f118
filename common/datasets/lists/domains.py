"""Lists of a data set with several domains: some are trained on, the others form the test stream.

Each case of dataset.json may name its ``domain``.  The order of the domains is that of dataset.json
(``"domains": [...]``), else that in which they first occur; within a domain the cases keep their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.datasets.lists.case_list import CaseList, as_lists
from common.datasets.lists.datalist import DATALIST, read_datalist, read_description
from common.datasets.lists.folds import hold_out_fold
from common.datasets.lists.holdout import hold_out
from common.errors import InputError

__all__ = ["domain_datalist", "domains_of"]


def domain_datalist(
    dataset_dir: str | Path,
    *,
    source_domains: str | Sequence[str] | None = None,
    holdout: float = 0.2,
    fold: int | None = None,
    folds: int = 5,
) -> dict[str, CaseList]:
    """The lists of :func:`common.datasets.read_datalist`, optionally with other domains to train on.

    Args:
        dataset_dir: folder with dataset.json.
        source_domains: train on all cases of these domains; those of all others become the ``test`` list,
            domain by domain.  None keeps the lists of dataset.json.
        holdout: as in ``read_datalist``.  With ``source_domains``, cases listed for validation stay
            there; from a domain without any, this share of its cases is held out.
        fold: number, from 0, of a fold of all cases that would be trained or validated on; it takes the place
            of what ``holdout`` and dataset.json's validation list hold out.
        folds: how many there are.

    Raises:
        InputError: as ``read_datalist``; also a domain that no case has, or cases without a domain.
    """
    if source_domains is None:
        return read_datalist(dataset_dir, holdout=holdout, fold=fold, folds=folds)
    lists = read_datalist(dataset_dir, holdout=0)
    path = Path(dataset_dir).absolute() / DATALIST
    sources = [source_domains] if isinstance(source_domains, str) else list(source_domains)
    order = domains_of(dataset_dir, lists)
    strangers = [domain for domain in sources if domain not in order]
    if strangers or not sources:
        raise InputError(
            f"{path}: source_domains = {source_domains!r}; expected one or several of {', '.join(order)}"
        )
    nothing = lists["training"][:0]
    found = {"training": nothing, "validation": nothing, "test": nothing}
    for domain in order:
        own = {section: _of_domain(cases, domain) for section, cases in lists.items()}
        if domain not in sources:
            found["test"] += own["training"] + own["validation"] + own["test"]
            continue
        counted = f"cases of domain {domain!r}"
        training, validation = hold_out(
            own["training"] + own["test"],
            own["validation"],
            holdout if fold is None else 0,
            source=path,
            counted=counted,
        )
        found["training"] += training
        found["validation"] += validation
    if fold is not None:
        found["training"], found["validation"] = hold_out_fold(
            found["training"], found["validation"], fold, folds, source=path
        )
    return as_lists(found)


def domains_of(dataset_dir: str | Path, lists: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """The domains of a data set, in the data set's order.

    Args:
        dataset_dir: folder with dataset.json.
        lists: its lists, as :func:`common.datasets.read_datalist` gives them.

    Raises:
        InputError: a case names no domain, or one that is missing from the order in dataset.json.
    """
    path = Path(dataset_dir).absolute() / DATALIST
    for section, cases in lists.items():
        lacking = [index for index, case in enumerate(cases) if not isinstance(case.get("domain"), str)]
        if lacking:
            raise InputError(
                f'{path}: {section}[{lacking[0]}] has no "domain" ({len(lacking)} of {len(cases)} cases); '
                f'expected {{"image": ..., "label": ..., "domain": "A"}}: add it to every case'
            )
    occurring = list(dict.fromkeys(case["domain"] for cases in lists.values() for case in cases))
    order = read_description(dataset_dir).get("domains") or occurring
    unknown = [domain for domain in occurring if domain not in order]
    if unknown:
        raise InputError(
            f"{path}: domains = {order} lacks {unknown[0]!r}, which cases name; expected all of them: add it"
        )
    return [domain for domain in order if domain in occurring]


def _of_domain(cases: CaseList, domain: str) -> CaseList:
    return cases.flat_map(lambda case: [case] if case["domain"] == domain else [])
