"""Kernel tests run with uninitialised memory poisoned."""

import pytest
import torch


def _poisoned(allocate):
    def call(*args, **kwargs):
        tensor = allocate(*args, **kwargs)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

    return call


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch):
    """``torch.empty`` and its relatives return NaN, so that an unwritten element shows."""
    for owner, name in [(torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty")]:
        monkeypatch.setattr(owner, name, _poisoned(getattr(owner, name)))


@pytest.fixture
def clean_memory(poisoned_memory, monkeypatch):
    """Undo the poisoning, for tests that trace: the replaced functions are not operators."""
    monkeypatch.undo()


def _on_kernels(where, monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed")
    on_gpu = torch.cuda.is_available()
    if where == "cuda" and not on_gpu:
        pytest.skip("needs a CUDA device")
    if where == "interpreter" and on_gpu:
        pytest.skip("with a GPU the kernels run on it, not in the interpreter")
    monkeypatch.setenv("COMMON_KERNELS", "triton")
    return torch.device("cuda" if on_gpu else "cpu")


KERNELS = ["interpreter", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=KERNELS)
def kernel_device(request, monkeypatch):
    """Where Triton kernels run in a test: compiled on a GPU if there is one, else interpreted on the CPU."""
    return _on_kernels(request.param, monkeypatch)


@pytest.fixture(params=["cpu", *KERNELS])
def device(request, monkeypatch):
    """Every form but the reference: the CPU's, and the Triton kernels."""
    if request.param == "cpu":
        return torch.device("cpu")
    return _on_kernels(request.param, monkeypatch)
