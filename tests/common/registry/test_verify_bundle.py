"""``verify-bundle``: a sound bundle passes, and each check finds its fault."""

from __future__ import annotations

import os

import pytest

from common.errors import InputError
from common.registry.pack import pack
from common.registry.zoo_checks import check_bundle
from tests.common.registry.small_bundle import change_config, change_network, write_small_bundle
from tests.contract.bundle import ROOT, Shell

CHECKS = [
    "files",
    "version",
    "metadata",
    "weights",
    "properties for training",
    "properties for inference",
    "data shape",
    "TorchScript",
    "ONNX",
]


@pytest.fixture
def small(tmp_path):
    return write_small_bundle(tmp_path / "any name")


def files_below(folder):
    return sorted(os.path.join(at, file) for at, _, files in os.walk(folder) for file in files)


@pytest.mark.full
def test_a_sound_bundle_passes_every_check(small):
    """A folder, of which nothing is changed."""
    before = files_below(small)
    findings = check_bundle(small)
    assert [finding.check for finding in findings] == CHECKS
    assert {finding.check: finding.remark for finding in findings if finding.result != "good"} == {}
    remarks = {finding.check: finding.remark for finding in findings}
    assert remarks["weights"] == "no models/model.pt: untrained weights, made for this check"
    assert all("differs from the network by" in remarks[check] for check in ("TorchScript", "ONNX"))
    assert files_below(small) == before


def lack(*keys):
    def edit(config):
        for key in keys[:-1]:
            config = config[key]
        del config[keys[-1]]

    return edit


def export(**reasons):
    return lambda config: config.update(export=reasons)


SPOILT = {
    "files": [(lambda b: (b / "LICENSE").unlink(), "there is no LICENSE")],
    "version": [
        (
            lambda b: change_config(b, "metadata", lack("changelog", "0.1.0")),
            "has no entry in changelog",
        ),
        (
            lambda b: change_config(b, "metadata", lambda c: c.update(version="one")),
            "expected three numbers",
        ),
    ],
    "metadata": [
        (lambda b: change_config(b, "metadata", lack("task")), "'task' is a required property"),
        (lambda b: change_config(b, "metadata", export(onnx=" ")), "export#onnx gives no reason"),
        (lambda b: change_config(b, "metadata", export(trt="no")), "export has trt; it may have torchscript"),
    ],
    "properties for training": [
        (lambda b: change_config(b, "train", lack("train", "inferer")), "train::inferer' not in the config"),
    ],
    "properties for inference": [
        (lambda b: change_config(b, "inference", lack("inferer")), "'inferer' not in the config"),
    ],
    "data shape": [
        (
            lambda b: change_config(
                b, "metadata", lambda c: c["network_data_format"]["outputs"]["pred"].update(num_channels=3)
            ),
            "channel number",
        ),
    ],
    "TorchScript": [
        (lambda b: change_network(b, "y = y * 1.001 if torch.jit.is_scripting() else y"), "differs from the"),
        (lambda b: change_network(b, "y = y + len({*()})"), "Set aren't supported"),
    ],
    "torch.export": [
        (lambda b: change_network(b, "y = y + float(y.sum() > 0)"), "Could not guard on data-dependent")
    ],
    "ONNX": [
        (
            lambda b: change_network(b, "y = y + torch.onnx.is_in_onnx_export()"),
            "differs from the network by",
        ),
    ],
}


@pytest.mark.full
@pytest.mark.parametrize(
    ("check", "spoil", "message"),
    [
        pytest.param(check, *case, id=f"{check} {i}")
        for check in SPOILT
        for i, case in enumerate(SPOILT[check])
    ],
)
def test_each_check_finds_its_fault(small, check, spoil, message):
    spoil(small)
    if check == "torch.export":
        change_config(small, "metadata", export(torchscript="loops over data"))
    findings = check_bundle(small, only={"weights", check})
    (finding,) = [finding for finding in findings if finding.check == check]
    assert finding.result == "FAILED"
    assert message in finding.remark, finding.remark


@pytest.mark.full
def test_exempt_with_its_reason(small):
    """Without TorchScript, torch.export must work."""
    change_config(small, "metadata", export(torchscript="loops over data", onnx="sorts"))
    findings = check_bundle(small, only={"weights", "TorchScript", "torch.export", "ONNX"})
    assert [(finding.check, finding.result) for finding in findings] == [
        ("weights", "good"),
        ("TorchScript", "exempt"),
        ("torch.export", "good"),
        ("ONNX", "exempt"),
    ]
    assert [findings[i].remark for i in (1, 3)] == ["loops over data", "sorts"]


def test_weights_of_the_bundle_are_the_ones_checked(small):
    """Those of another network do not load."""
    (small / "models").mkdir()
    (small / "models" / "model.pt").write_bytes(b"no weights")
    findings = check_bundle(small, only={"weights", "TorchScript"})
    assert [finding.result for finding in findings] == ["good", "FAILED"]
    assert findings[0].remark == "models/model.pt of the bundle"


def test_a_folder_that_is_no_bundle(tmp_path):
    (tmp_path / "configs").mkdir()
    with pytest.raises(InputError, match=r"no bundle; expected configs/ and one Python package"):
        check_bundle(tmp_path)


@pytest.mark.full
def test_the_command_shows_a_table_and_fails(tmp_path):
    """A packed bundle in which one thing is wrong: all other checks are run, and the exit code says no."""
    folder = write_small_bundle(tmp_path / "checkout" / "bundles" / "small")
    (tmp_path / "checkout" / "common").symlink_to(ROOT / "common")
    change_network(folder, "y = y * 1.001 if torch.jit.is_scripting() else y")
    change_config(folder, "metadata", export(onnx="sorts"))
    file = pack("small", tmp_path / "dist", root=tmp_path / "checkout")
    told = Shell(ROOT, tmp_path).python("-m", "common.registry", "verify-bundle", file)
    assert told.error() == "error: 1 of 9 checks failed: small: TorchScript"
    head, *rows = told.out.splitlines()
    assert head.split() == ["bundle", "check", "result", "time", "remark"]
    words = {"TorchScript": " FAILED ", "ONNX": " exempt "}
    for check, row in zip(CHECKS, rows, strict=True):
        assert row.startswith(f"small   {check}"), row
        assert words.get(check, " good ") in row, row


def test_names_or_all(tmp_path):
    told = Shell(ROOT, tmp_path).python("-m", "common.registry", "verify-bundle")
    assert "name bundles, zips or folders, or give --all" in told.error()
