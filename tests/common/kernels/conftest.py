"""Every test of a kernel runs with uninitialised memory that shows itself."""

import pytest
import torch


def _poisoned(allocate):
    def call(*args, **kwargs):
        tensor = allocate(*args, **kwargs)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

    return call


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch):
    """What ``torch.empty`` and its relatives return is NaN: an element that nobody writes is seen."""
    for owner, name in [(torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty")]:
        monkeypatch.setattr(owner, name, _poisoned(getattr(owner, name)))


@pytest.fixture
def clean_memory(poisoned_memory, monkeypatch):
    """Undo the poison, for tests that trace: the replaced functions are no operators."""
    monkeypatch.undo()
