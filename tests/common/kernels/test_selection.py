"""Which form of an operator runs: by device, installed packages and environment."""

from __future__ import annotations

import warnings

import pytest
import torch

from common.kernels import selection


def test_a_cuda_machine_without_triton_is_warned_once(monkeypatch):
    """And it gets the reference."""
    monkeypatch.setattr(selection, "TRITON_IS_INSTALLED", False)
    selection._say_that_triton_is_missing.cache_clear()
    on_cuda = type("OnCuda", (), {"device": torch.device("cuda", 0)})()
    with pytest.warns(UserWarning, match="Triton is not installed.*pip install triton"):
        assert selection.choose(on_cuda) == "reference"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert selection.choose(on_cuda) == "reference"
    selection._say_that_triton_is_missing.cache_clear()


def test_device_and_environment_choose(monkeypatch):
    on_cpu, on_cuda = (type("On", (), {"device": torch.device(d)})() for d in ("cpu", "cuda"))
    monkeypatch.setattr(selection, "TRITON_IS_INSTALLED", True)
    monkeypatch.delenv("COMMON_KERNELS", raising=False)
    assert [selection.choose(t) for t in (on_cpu, on_cuda)] == ["cpu", "triton"]
    assert selection.choose(on_cuda, awaits_verdict=True) == "reference"
    monkeypatch.setenv("COMMON_KERNELS", "triton")
    assert selection.choose(on_cuda, awaits_verdict=True) == "triton"
    assert selection.choose(on_cpu) == "triton"
    monkeypatch.setenv("COMMON_KERNELS", "eager")
    assert {selection.choose(t) for t in (on_cpu, on_cuda)} == {"reference"}
    monkeypatch.setenv("COMMON_KERNELS", "fast")
    with pytest.raises(ValueError, match="COMMON_KERNELS='fast'; expected one of auto, eager, triton"):
        selection.choose(on_cpu)
    monkeypatch.setenv("COMMON_KERNELS", "triton")
    monkeypatch.setattr(selection, "TRITON_IS_INSTALLED", False)
    with pytest.raises(RuntimeError, match="not installed; pip install triton"):
        selection.choose(on_cpu)
