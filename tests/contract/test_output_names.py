"""Images of one name in two folders: each has its own results."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from tests.contract.bundle import files_of

pytestmark = pytest.mark.full


def with_equal_names(phantom, target):
    """A copy of the phantom whose test list has two images, ``A/1`` and ``B/1``."""
    shutil.copytree(phantom, target)
    description = json.loads((target / "dataset.json").read_text())
    cases = [*description["test"], *description["validation"]][:2]
    for case, folder in zip(cases, "AB", strict=True):
        key = "moving" if "moving" in case else "image"
        (target / folder).mkdir()
        moved = [
            old.rename(target / folder / f"1{'_channel' * place}{''.join(old.suffixes)}")
            for place, old in enumerate(files_of(case[key], target))
        ]
        moved = [file.relative_to(target).as_posix() for file in moved]
        case[key] = moved if isinstance(case[key], list) else moved[0]
        case.pop("domain", None)
    (target / "dataset.json").write_text(json.dumps({**description, "validation": [], "test": cases}))


def test_images_of_one_name_do_not_overwrite_each_other(bundle, make_run, shell, tmp_path):
    run = make_run(weights=True)
    with_equal_names(run.phantom, tmp_path / "data")
    shell.run([bundle.config_file("inference")], {**run.base, "dataset_dir": tmp_path / "data"}).ok()
    results = {name: sorted(p.name for p in (run.output_dir / name).iterdir()) for name in "AB"}
    assert results["A"]
    assert all(re.match(r"1[_.]", name) for name in results["A"])
    if bundle.kind == "registration":  # onto another image each
        results = {key: [name.split("_to_")[0] for name in names] for key, names in results.items()}
    assert results["A"] == results["B"]
    contents = [sorted((run.output_dir / name).iterdir())[0].read_bytes() for name in "AB"]
    assert contents[0] != contents[1]
