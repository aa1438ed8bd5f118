"""Tests that run for every bundle or for those of one kind, and which bundle a test belongs to.

A test that asks for the fixture ``bundle`` runs for all of them, below ``bundles/NAME`` for that one.  One
that asks for a fixture of ``THAT`` runs for the bundles of which that is true, and a test of
``contract/kinds/KIND.py`` for those of its kind, so that nothing is collected only to be skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract import kinds
from tests.contract.bundle import NAMES, Bundle

#: Name of the fixture -> the bundles that it is for.
THAT: dict[str, Callable[[Bundle], bool]] = {
    "learner": lambda bundle: bundle.learns,
    "segments": lambda bundle: bundle.segments,
    "pictures": lambda bundle: bundle.segments and bundle.dims == 2,
    "volumes": lambda bundle: bundle.segments and bundle.dims == 3,
    "narrowed": lambda bundle: bool(bundle.network),
    "drawing": lambda bundle: bundle.draws,
    "scriptable": lambda bundle: bundle.exports_torchscript,
}

_KINDS = Path(kinds.__file__).parent
_OWN_TESTS = Path(__file__).parent / "bundles"


@pytest.fixture(scope="session")
def bundle(request) -> Bundle:
    return Bundle(request.param)


def _those(name: str):
    @pytest.fixture(scope="session", name=name)
    def fixture(bundle) -> Bundle:
        return bundle

    return fixture


FIXTURES = {name: _those(name) for name in THAT}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = metafunc.definition.iter_markers("parametrize")
    if "bundle" not in metafunc.fixturenames or any(mark.args[0] == "bundle" for mark in marks):
        return
    wanted = [THAT[name] for name in metafunc.fixturenames if name in THAT]
    file = Path(metafunc.module.__file__)
    if file.parent == _KINDS:
        wanted.append(lambda bundle: bundle.kind == file.stem)
    if _OWN_TESTS in file.parents:
        wanted.append(lambda bundle: bundle.name == file.relative_to(_OWN_TESTS).parts[0])
    names = [name for name in NAMES if all(true_of(Bundle(name)) for true_of in wanted)]
    metafunc.parametrize("bundle", names, ids=names, indirect=True, scope="session")


def bundle_of(item: pytest.Item) -> str | None:
    """The bundle that a test belongs to: by its fixture or its folder."""
    if _OWN_TESTS in item.path.parents:
        return item.path.relative_to(_OWN_TESTS).parts[0]
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("bundle") if callspec else None
