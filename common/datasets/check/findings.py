"""What needs repair in a data set, and how it is reported."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.datasets.lists.datalist import DATALIST
from common.errors import InputError

__all__ = ["Finding", "findings_table", "raise_on_findings"]


@dataclass(frozen=True)
class Finding:
    """One thing to repair.

    Attributes:
        case: its place in dataset.json (``training[12]``); empty if the finding is about the whole data set.
        file: absolute path; empty if the finding is not about a single file.
        key: ``image``, ``label``, or a key of dataset.json.
        found: a predicate ("has values {0, 255}").
        expected: what it should be.
        repair: what to do.
        severity: ``error`` stops training; ``warning`` is only reported.
    """

    case: str
    file: str
    key: str
    found: str
    expected: str
    repair: str
    severity: str = "error"

    def line(self, dataset_json: str | Path) -> str:
        """``DIR/dataset.json: training[12].label = labelsTr/a.nii.gz has ...; expected ...``.

        Of a folder without a dataset.json, whose images are the cases: ``DIR/a.nii.gz: has ...``.
        """
        if self.file and _is_absent(dataset_json):
            return f"{self.file}: {self.found}; expected {self.expected}"
        place = f"{self.case}.{self.key}" if self.case else self.key
        file = f" = {_relative(self.file, Path(dataset_json).parent)}" if self.file else ""
        return f"{dataset_json}: {place}{file} {self.found}; expected {self.expected}"


def raise_on_findings(findings: Sequence[Finding], dataset_json: str | Path, *, options: str = "") -> None:
    """Stop if there is an error among the findings.

    Args:
        findings: from :func:`common.datasets.check_cases`.
        dataset_json: the file that lists the cases.
        options: options for the command that shows the whole table (``--num_classes 4``).

    Raises:
        InputError: two lines; the first names the first bad case, what was found and expected, the
            second how to repair it, how many more there are, and the command that shows all.
    """
    errors = [one for one in findings if one.severity == "error"]
    if not errors:
        return
    first, more = errors[0], len(errors) - 1
    folder = shlex.quote(str(Path(dataset_json).parent))
    command = f"python -m common.datasets check {folder} {options}".rstrip()
    others = f"{more} more to repair, shown by" if more else "The whole check:"
    table = f" {others}  {command} "
    if _is_absent(dataset_json):  # nothing to check
        table = f" {more} more to repair." if more else ""
    raise InputError(
        f"{first.line(dataset_json)}.\n"
        f"{first.repair[:1].upper()}{first.repair[1:]}.{table} Nothing was written."
    )


def findings_table(findings: Sequence[Finding], dataset_dir: str | Path) -> str:
    """One line per finding under a heading: case, file, key, found, expected, how to repair."""
    rows = [("", "case", "file", "key", "found", "expected", "how to repair")]
    for one in findings:
        file = _relative(one.file, Path(dataset_dir))
        rows.append((one.severity, one.case or "all", file, one.key, one.found, one.expected, one.repair))
    widths = [max(len(row[column]) for row in rows) for column in range(6)] + [0]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _is_absent(dataset_json: str | Path) -> bool:
    path = Path(dataset_json)
    return path.name == DATALIST and path.parent.exists() and not path.is_file()


def _relative(file: str, folder: Path) -> str:
    path = Path(file)
    return str(path.relative_to(folder)) if file and path.is_relative_to(folder) else file
