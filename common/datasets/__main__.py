"""``python -m common.datasets``: ``check DIR`` reads every case, ``list DIR`` writes dataset.json,

``prepare NAME`` turns a public data set's raw download into such a folder.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.commands import run_commands
from common.datasets.check.bundle_needs import BundleNeeds, needs_of
from common.datasets.check.check import check_cases
from common.datasets.check.facts import read_facts
from common.datasets.check.findings import findings_table
from common.datasets.lists.datalist import DATALIST, labels_of, modality_of, read_datalist
from common.datasets.lists.folders import write_datalist
from common.datasets.raw.prepare import prepare


def check(
    directory: str,
    *,
    bundle: str | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
    label_map: Mapping[int, int] | None = None,
) -> None:
    """Read every case of a data set and print what is to be repaired; exit code 1 if there are errors.

    Args:
        directory: folder with dataset.json.
        bundle: check the data against what this bundle's network takes.
        num_classes: classes, background included, instead of the bundle's.
        in_channels: image channels, instead of the bundle's.
        label_map: label values to replace before checking: '{255: 0}'.
    """
    folder = Path(str(directory)).absolute()
    needs = needs_of(str(bundle)) if bundle is not None else BundleNeeds()
    if needs.own_check is not None:
        _own_check(needs.own_check, folder)
        return
    facts = read_facts(read_datalist(folder, holdout=0))
    findings = check_cases(
        facts,
        channels=needs.channels if in_channels is None else in_channels,
        classes=needs.classes if num_classes is None else num_classes,
        dims=needs.dims,
        label_map=label_map,
        declared=labels_of(folder),
        modality=modality_of(folder),
        labelled=("validation",) if needs.unlabelled else ("training", "validation"),
    )
    if not findings:
        print(f"{len(facts)} cases checked, nothing to repair")
        return
    print(findings_table(findings, folder))
    errors = sum(one.severity == "error" for one in findings)
    print(f"{len(facts)} cases checked, {errors} to repair, {len(findings) - errors} to look at")
    if errors:
        raise SystemExit(1)


def _own_check(function: str, folder: Path) -> None:
    """Run the bundle's own check, which returns the number of cases and a line for each thing to repair."""
    module, _, name = function.rpartition(".")
    cases, problems = getattr(importlib.import_module(module), name)(folder)
    for line in problems:
        print(line)
    print(f"{cases} cases checked, " + (f"{len(problems)} to repair" if problems else "nothing to repair"))
    if problems:
        raise SystemExit(1)


def list_cases(
    directory: str, *, modality: str | Sequence[str] | None = None, overwrite: bool = False
) -> None:
    """Write dataset.json from imagesTr and labelsTr (with imagesTs, labelsTs), or images and labels.

    Args:
        directory: the folder that holds these folders.
        modality: modality of the channels, one name or several: CT or T1,T2,FLAIR.
        overwrite: replace an existing dataset.json.
    """
    listing = write_datalist(str(directory), modality=modality, overwrite=overwrite)
    print(f"{listing.path}: {listing.training} training and {listing.test} test cases")
    for file in listing.unpaired:
        print(f"left out, without a partner: {file}")
    for file in listing.unreadable:
        print(f"cannot be read: {file}")
    print(f"Name the labels in it, then:  python -m common.datasets check {listing.path.parent}")


def prepare_public(
    name: str,
    *,
    source: str,
    target: str,
    labelled: int | None = None,
    validation: int = 0,
    partial: bool = False,
    train_domains: str | Sequence[str] | None = None,
    modality: str | None = None,
    one_list: bool = False,
) -> None:
    """Check a public data set's raw download and write it as a folder with dataset.json.

    Args:
        name: name of the data set, such as la2018; a wrong one lists all.
        source: the raw download; its layout is described in common/datasets/public/NAME.py.
        target: new folder.
        labelled: number of training cases, counted from the first, that keep their labels.
        validation: number of cases to move from the end of the training list to the validation list.
        partial: accept an incomplete data set.
        train_domains: for optic, polyp, prostate and riga_mrnet, the domains to train on (the others become
            the test list): REFUGE or REFUGE,ORIGA.
        modality: for amos22, CT or MR alone.
        one_list: make all cases the training list, in the order of their names, for folds over a whole
            data set whose published lists divide it.
    """
    numbers = prepare(
        str(name),
        str(source),
        str(target),
        labelled=labelled,
        validation=validation,
        partial=partial,
        train_domains=train_domains,
        modality=modality,
        one_list=one_list,
    )
    listed = ", ".join(f"{count} {section}" for section, count in numbers.items())
    print(f"{Path(str(target)).absolute() / DATALIST}: {listed} cases")


if __name__ == "__main__":
    commands = {"check": check, "list": list_cases, "prepare": prepare_public}
    run_commands(commands, name="python -m common.datasets")
