"""No proxy stands between a test and its server."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
