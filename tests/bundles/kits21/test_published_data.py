"""The published recipe on the layout of the challenge's release, with tiny scans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.datasets.raw.prepare import prepare
from tests.common.datasets.raw_kits21 import RawKits21
from tests.contract.bundle import ROOT, Bundle, Run, Shell

KITS21 = Bundle("kits21")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kits21")
    prepare("kits21", RawKits21(folder / "release", cases=300).root, folder / "KITS21")
    return folder / "KITS21"


@pytest.mark.full
@pytest.mark.parametrize(("fold", "trained"), [(None, 300), (0, 240)])
def test_trains_on_the_300_cases_of_the_release_or_on_a_fold(prepared, tmp_path, fold, trained):
    run = Run(KITS21, tmp_path / "a run", tmp_path)
    files = [KITS21.config_file(name) for name in ("train", "paper")]
    tiny = {**run.base, **KITS21.network, **KITS21.quick["paper"], "cache_rate": 0.0, "fold": fold}
    told = Shell(ROOT, tmp_path).run(files, {**tiny, "dataset_dir": prepared}).ok()
    says = f"training on {trained} cases, keeping the last weights"
    assert says in told.out + told.err
    assert json.loads((run.ckpt_dir / "plan.json").read_text())["cases"] == 300
    assert run.weights.is_file()
