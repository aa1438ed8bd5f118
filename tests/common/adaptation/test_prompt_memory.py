"""The memory of prompts: first in, first out; it recalls the nearest."""

from __future__ import annotations

import pytest
import torch

from common.adaptation.prompt_memory import PromptMemory
from common.errors import InputError


def drawn(n, seed=0):
    return torch.rand(n, 1, 3, 2, 2, generator=torch.Generator().manual_seed(seed))


def filled(n, **settings):
    memory = PromptMemory(**settings)
    for key, prompt in zip(drawn(n), drawn(n, 1), strict=True):
        memory.push(key, prompt)
    return memory


def test_an_identical_key_recalls_its_prompt_exactly():
    memory = filled(6)
    for i in range(6):
        torch.testing.assert_close(memory.recall(drawn(6)[i], 1), drawn(6, 1)[i], rtol=0, atol=0)


def test_an_identical_key_gets_its_new_prompt_at_its_old_place():
    memory = filled(3, size=3)
    memory.push(drawn(3)[0], torch.full((1, 3, 2, 2), 7.0))
    assert len(memory) == 3
    assert (memory.prompts[0] == 7).all()
    for key in drawn(2, 5):
        memory.push(key, key)
    assert not any((prompt == 7).all() for prompt in memory.prompts), "and goes first, as before"


def test_equally_similar_neighbours_are_averaged():
    memory, key = PromptMemory(), torch.ones(1, 3, 2, 2)
    for factor in (1.0, 2.0):  # of the same direction
        memory.push(factor * key, factor * key)
    torch.testing.assert_close(memory.recall(key, 2), 1.5 * key)


def test_the_oldest_is_dropped_first():
    memory = filled(6, size=3)
    assert len(memory) == 4  # one more than the size, as published
    torch.testing.assert_close(torch.stack(memory.prompts), drawn(6, 1)[2:])


def test_pushed_tensors_are_copies():
    """Otherwise the live prompt would change what is remembered
    (vptta/docs/method.md#known-errors-of-the-published-code)."""
    memory, key, prompt = PromptMemory(), torch.ones(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    memory.push(key, prompt)
    prompt.fill_(7)
    torch.testing.assert_close(memory.recall(key, 1), torch.ones(1, 3, 1, 1))


def test_state_round_trips_through_a_file(tmp_path):
    memory = filled(5, size=3)
    torch.save(memory.state_dict(), tmp_path / "state.pt")
    other = PromptMemory(3)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    key = drawn(1, 2)[0]
    torch.testing.assert_close(other.recall(key, 3), memory.recall(key, 3), rtol=0, atol=0)
    other.push(key, key)
    assert len(memory) == 4
    assert not torch.equal(memory.keys[-1], other.keys[-1]), "the two memories share nothing"
    with pytest.raises(InputError, match="up to 2"):
        PromptMemory(1).load_state_dict(memory.state_dict())
    memory.clear()
    assert len(memory) == 0


def test_too_few_entries_and_bad_settings():
    with pytest.raises(ValueError, match="3 neighbours of 2 entries"):
        filled(2).recall(drawn(1)[0], 3)
    with pytest.raises(ValueError, match="size=0"):
        PromptMemory(0)
