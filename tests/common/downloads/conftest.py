"""Tests reach their servers directly, whatever proxy the environment names."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
