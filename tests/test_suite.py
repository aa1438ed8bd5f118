"""Which tests a run has, what it records, and what it fails for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests import suite
from tests.seconds import AMONG_OTHERS, LIMIT, Seconds


class Item:
    """As much of a test as the choice looks at."""

    def __init__(
        self, mark: str | None, bundle: str | None, path: str = "tests/contract/test_files.py"
    ) -> None:
        self.mark, self.path = mark, suite.ROOT / path
        self.callspec = SimpleNamespace(params={"bundle": bundle} if bundle else {})
        self.user_properties: list[tuple[str, object]] = []
        self.runtest = lambda: None

    def get_closest_marker(self, name):
        return name == self.mark or None


@pytest.fixture
def chosen(monkeypatch):
    """The full set runs for liver alone, the sampled tests for heart; only losses have changed."""
    choice = {"full": ["liver"], "samples": ["heart"], "changed": ["common/losses/dice.py"], "start": "abc"}
    monkeypatch.setattr(suite, "_chosen", choice | {"lines": []})


@pytest.mark.parametrize(
    ("mark", "name", "mode", "only", "expected"),
    [
        ("always", "heart", "changed", None, True),
        (None, None, "changed", None, True),
        ("full", "liver", "changed", None, True),
        ("full", "heart", "changed", None, False),
        ("sample", "heart", "changed", None, True),
        ("sample", "liver", "changed", None, False),
        ("release", "liver", "changed", None, False),
        ("release", "liver", "all", None, True),
        ("always", "heart", "all", "liver", False),
        ("full", "liver", "all", "liver", True),
        (None, None, "all", "liver", False),
    ],
)
def test_what_runs(chosen, mark, name, mode, only, expected):
    assert suite.runs(Item(mark, name), mode, only) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("tests/common/losses/test_dice.py", True), ("tests/common/blocks/test_x.py", False)],
)
def test_a_full_test_of_no_bundle_runs_when_what_it_mirrors_has_changed(chosen, path, expected):
    assert suite.runs(Item("full", None, path), "changed", None) is expected


def test_tests_left_out_are_deselected_in_order(chosen):
    told = []

    def deselected(items):
        told.extend(items)

    hook = SimpleNamespace(pytest_deselected=deselected)
    config = SimpleNamespace(args=[], hook=hook, getoption={"--full": "changed", "--bundle": None}.get)
    items = [Item("always", "heart"), Item("full", "heart"), Item("full", "liver"), Item("release", "liver")]
    kept = [items[0], items[2]]
    left = [items[1], items[3]]
    suite.pytest_collection_modifyitems(config, items)
    assert items == kept
    assert told == left


@pytest.mark.parametrize(("mark", "fails"), [(None, True), ("always", False), ("full", False)])
def test_a_contract_test_without_a_mark_fails(mark, fails):
    item = Item(mark, "liver")
    suite.refuse_unmarked([item, Item(None, None), Item(None, "liver", "tests/bundles/liver/test_own.py")])
    if fails:
        with pytest.raises(pytest.fail.Exception, match=r"pytest\.mark\.always or pytest\.mark\.full"):
            item.runtest()
    else:
        item.runtest()


def config_of(**options):
    source = options.pop("source", pytest.Config.ArgsSource.TESTPATHS)
    known = {"full": "all", "record": True, "costly": 0, "bundle": None, **options}
    return SimpleNamespace(
        option=SimpleNamespace(**known),
        args_source=source,
        getoption=lambda name: known[name.lstrip("-")],
        pluginmanager=SimpleNamespace(hasplugin=lambda name: False),
    )


@pytest.fixture
def records(chosen, tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "RECORD", tmp_path / "last_full.txt")
    monkeypatch.setattr(suite, "SECONDS", tmp_path / "last_full_seconds.json")
    monkeypatch.setattr(suite, "state_of_checkout", lambda: "abc")
    monkeypatch.setattr(suite, "slowness", lambda: 1.0)
    monkeypatch.setattr(suite, "seconds", Seconds())
    suite.seconds.tests["a test"] = 1.0
    return tmp_path


def test_a_whole_run_is_recorded_with_what_representatives_cost(records):
    """Without the tests that run before a release alone."""
    for which, spent in (("always", 20.0), ("full", 100.0), ("release", 900.0)):
        suite.seconds.add("liver", which, spent)
    assert suite.record(config_of(), 1.0).startswith("recorded in last_full.txt")
    assert (records / "last_full.txt").read_text() == "abc\n"
    assert suite.recorded_seconds() == {"liver": {"always": 20.0, "full": 100.0}}


@pytest.mark.parametrize(
    "options",
    [
        {"full": "changed"},
        {"bundle": "liver"},
        {"keyword": "x"},
        {"lf": True},
        {"stepwise": True},
        {"ignore_glob": ["*"]},
        {"source": pytest.Config.ArgsSource.ARGS},
    ],
    ids=str,
)
def test_a_part_is_not_recorded(records, options):
    assert suite.record(config_of(**options), 1.0) == "not recorded: not all tests were asked for"
    assert not (records / "last_full.txt").exists()


@pytest.mark.parametrize("state", ["", "another"])
def test_files_that_are_not_those_of_the_commit_are_not_recorded(records, state, monkeypatch):
    monkeypatch.setattr(suite, "state_of_checkout", lambda: state)
    assert suite.record(config_of(), 1.0) == "not recorded: the files are not those of a commit"


TOP = LIMIT * AMONG_OTHERS


@pytest.mark.parametrize(("spent", "status"), [(TOP - 1, 0), (TOP + 1, 1)])
def test_too_dear_a_bundle_fails_the_run_and_nothing_is_recorded(records, spent, status):
    suite.seconds.add("liver", "always", spent)
    session = SimpleNamespace(config=config_of(), exitstatus=0)
    suite.pytest_sessionfinish(session)
    assert session.exitstatus == status
    assert (records / "last_full.txt").exists() == (status == 0)
    assert any("FAILED: the tests of liver" in line for line in suite._chosen["lines"]) == bool(status)


@pytest.mark.parametrize(("mark", "word"), [("always", "always"), ("sample", "full"), ("release", "release")])
def test_seconds_go_to_the_set_that_a_test_is_of(mark, word):
    item = Item(mark, "liver")
    suite.pytest_runtest_makereport(item, SimpleNamespace(when="teardown"))
    assert item.user_properties == [("bundle", "liver"), ("set", word)]
