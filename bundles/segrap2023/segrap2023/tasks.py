"""The lists of a data set for task 2: the tumour volumes stand in the place of the organs.

Source: segrap2023/docs/method.md#data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from common.datasets.lists.case_list import CaseList, as_lists
from common.datasets.lists.datalist import DATALIST
from common.datasets.raw.segrap_classes import GTVS, class_names
from common.errors import InputError

__all__ = ["KEY", "LABELS", "tumour_lists"]

KEY = "gtv"
#: Names by label value, as dataset.json has them.
LABELS = {str(value): name for value, name in enumerate(class_names(GTVS))}


def tumour_lists(lists: Mapping[str, CaseList]) -> dict[str, CaseList]:
    """The same cases, with the file under ``gtv`` as their label.

    Args:
        lists: as :func:`common.datasets.read_datalist` gives them.

    Raises:
        InputError: a training or validation case has none.
    """
    for name in ("training", "validation"):
        for case, place in zip(lists[name], lists[name].places, strict=True):
            if not case.get(KEY):
                raise InputError(
                    f'{lists[name].folder / DATALIST}: {place} has no "{KEY}"; expected the label map of the '
                    "tumour volumes (1 GTVp, 2 GTVnd) beside that of the organs: add it"
                )
    return as_lists({name: cases.flat_map(_with_tumours) for name, cases in lists.items()})


def _with_tumours(case: dict) -> Iterable[dict]:
    labels = {"label": case[KEY]} if case.get(KEY) else {}
    return [{**{key: value for key, value in case.items() if key not in ("label", KEY)}, **labels}]
