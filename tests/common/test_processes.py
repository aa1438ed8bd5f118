"""Which process measures which case when several share a validation."""

from __future__ import annotations

import pytest
import torch.distributed as dist

from common import processes


def pretend(monkeypatch, rank, world):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", lambda *_: rank)
    monkeypatch.setattr(dist, "get_world_size", lambda *_: world)


@pytest.mark.parametrize(("cases", "world"), [(4, 2), (5, 2), (3, 3), (7, 4)])
def test_every_case_once(monkeypatch, cases, world):
    taken = []
    for rank in range(world):
        pretend(monkeypatch, rank, world)
        mine = list(processes.share(range(cases)))
        assert mine, "a process without a case would keep the others waiting"
        taken += mine
    assert sorted(taken) == list(range(cases))


@pytest.mark.parametrize(("cases", "world"), [(1, 2), (3, 4)])
def test_fewer_cases_than_processes(monkeypatch, cases, world):
    """Every case has the same weight."""
    for rank in range(world):
        pretend(monkeypatch, rank, world)
        assert list(processes.share(range(cases))) == list(range(cases))


@pytest.mark.parametrize(("samples", "world", "each"), [(8, 2, 4), (9, 2, 5), (3, 4, 1)])
def test_one_pass_shared(monkeypatch, samples, world, each):
    pretend(monkeypatch, 0, world)
    assert processes.share_of(samples) == each


def test_alone(monkeypatch):
    """``join`` waits for no other process if torchrun has started none."""
    monkeypatch.delenv("RANK", raising=False)
    processes.join()
    assert not dist.is_initialized()
    assert list(processes.share(range(3))) == [0, 1, 2]
    assert processes.share_of(3) == 3
