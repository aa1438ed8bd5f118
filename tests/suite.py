"""Which tests run, and the report at the end: the pytest hooks behind ``make test``.

``--full changed``, the default, runs the full set for the bundles that tests/selection.py chooses, ``all``
for all of them, ``none`` for none.  A test named by its own id always runs.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.of_bundles import bundle_of
from tests.seconds import Seconds, slowness, take_of_all_tests, used, used_with_warm_start
from tests.selection import Selection, bundle_names, samples, select

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "tests" / "last_full.txt"
SECONDS = ROOT / "tests" / "last_full_seconds.json"

# Made-up files for the readers: the same few in every run, many others before a release.
settings.register_profile("quick", max_examples=25, derandomize=True, deadline=None, database=None)
settings.register_profile("all", max_examples=2000, deadline=None, database=None)

seconds = Seconds()
_chosen: dict[str, Any] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bundles")
    group.addoption(
        "--full", choices=["changed", "all", "none"], default="changed", help="which bundles run all"
    )
    group.addoption("--bundle", help="only the tests of this bundle")
    group.addoption("--costly", type=int, default=0, metavar="N", help="list the N tests of most CPU seconds")
    group.addoption("--record", action="store_true", help="on success note the commit and the seconds")


def pytest_configure(config: pytest.Config) -> None:
    """Choose once, in the process that distributes the tests."""
    settings.load_profile("all" if config.getoption("--full") == "all" else "quick")
    if hasattr(config, "workerinput"):
        _chosen.update(config.workerinput["chosen"])
        return
    mode, names = config.getoption("--full"), bundle_names(ROOT)
    if config.getoption("--bundle") not in (None, *names):
        raise pytest.UsageError(
            f"--bundle {config.getoption('--bundle')}: expected one of {', '.join(names)}"
        )
    cost = {name: of["full"] for name, of in recorded_seconds().items() if "full" in of}
    if mode == "changed":
        selection = select(ROOT, cost)
    else:
        everything = mode == "all"
        full = dict.fromkeys(names, "asked for") if everything else {}
        selection = Selection(full, changed=None if everything else frozenset())
    _chosen.update(
        full=sorted(selection.full),
        samples=sorted(samples(ROOT, selection.full, cost)),
        changed=None if selection.changed is None else sorted(selection.changed),
        lines=selection.lines() if mode == "changed" else [],
        start=state_of_checkout(),
    )


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's; the label server's tests do without it
def pytest_configure_node(node: Any) -> None:
    """Pass the choice to every pytest-xdist worker."""
    node.workerinput["chosen"] = _chosen


def recorded_seconds() -> dict[str, dict[str, float]]:
    """Bundle -> set -> CPU seconds of the last full run."""
    return json.loads(SECONDS.read_text()) if SECONDS.is_file() else {}


def state_of_checkout() -> str:
    """The commit if the checkout has no changes, else ""."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    try:
        return "" if git("status", "--porcelain") else git("rev-parse", "HEAD").strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def set_of(item: pytest.Item) -> str:
    """ "release", "sample", "full" or "always"."""
    return next((w for w in ("release", "sample", "full") if item.get_closest_marker(w)), "always")


def runs(item: pytest.Item, mode: str, only: str | None) -> bool:
    """Whether a test belongs to this run."""
    name, which = bundle_of(item), set_of(item)
    if only is not None and name != only:
        return False
    if which == "release":
        return mode == "all"
    if which == "sample":
        return name in _chosen["samples"]
    if which == "always":
        return True
    return name in _chosen["full"] if name else concerns(item)


def concerns(item: pytest.Item) -> bool:
    """Whether the change is one for a test of the full set that is of no bundle."""
    changed = _chosen["changed"]
    selection = Selection(changed=None if changed is None else frozenset(changed))
    return selection.concerns(item.path.relative_to(ROOT).as_posix())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    refuse_unmarked(items)
    if any("::" in word for word in config.args):
        return
    mode, only = config.getoption("--full"), config.getoption("--bundle")
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        (kept if runs(item, mode, only) else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def refuse_unmarked(items: list[pytest.Item]) -> None:
    """Fail contract tests that do not say whether they always run: one that forgets costs fifty times over.

    The test itself fails, since an error at collection is lost in a worker of pytest-xdist.
    """
    contract = ROOT / "tests" / "contract"
    marks = ("always", "full", "sample", "release")
    for item in items:
        of_contract = bundle_of(item) and contract in item.path.parents
        if of_contract and not any(item.get_closest_marker(mark) for mark in marks):
            item.runtest = _unmarked


def _unmarked() -> None:
    pytest.fail("mark this test with pytest.mark.always or pytest.mark.full", pytrace=False)


def counted(item: pytest.Item) -> Iterator[None]:
    """Count the seconds of one phase of a test, and separately those of what all tests share."""
    start = used()
    try:
        return (yield)
    finally:
        shared = take_of_all_tests()
        item.user_properties += [("seconds", used() - start - shared), ("seconds always", shared)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    return (yield from counted(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    return (yield from counted(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    return (yield from counted(item))


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> None:
    """The report carries the owner along with the seconds: the process that adds them up has no items."""
    if call.when == "teardown" and (name := bundle_of(item)):
        which = {"sample": "full"}.get(set_of(item), set_of(item))
        item.user_properties += [("bundle", name), ("set", which)]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "teardown":
        return
    known = dict(report.user_properties)
    own = sum(value for key, value in report.user_properties if key == "seconds")
    made = sum(value for key, value in report.user_properties if key == "seconds always")
    seconds.tests[report.nodeid] = own
    if "bundle" in known:
        seconds.add(known["bundle"], known["set"], own)
        seconds.add(known["bundle"], "always", made)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    seconds.total += getattr(node, "workeroutput", {}).get("seconds", 0.0)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail for a bundle whose tests take too long; otherwise record a full run's results."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["seconds"] = used_with_warm_start()
        return
    if not seconds.tests:
        return
    workers = session.config.pluginmanager.hasplugin("dsession")  # have told theirs
    seconds.total += time.process_time() if workers else used_with_warm_start()
    factor = slowness()
    costly = seconds.costly(session.config.getoption("--costly"))
    table = seconds.lines(factor, whole=is_whole(session.config))
    _chosen["lines"] = [*_chosen["lines"], "", *table, *costly]
    alone = session.config.getoption("--bundle") is not None
    for name, spent in seconds.beyond(factor, alone=alone).items():
        _chosen["lines"].append(
            f"FAILED: the tests of {name} that always run took {spent:.1f} CPU seconds: see "
            f"pytest --bundle {name} --full none --costly 20"
        )
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
    if session.config.getoption("--record") and session.exitstatus == 0:
        _chosen["lines"].append(record(session.config, factor))


def is_whole(config: pytest.Config) -> bool:
    """Whether no word of the command leaves tests out, but for --full."""
    option = config.option
    narrowing = (
        *("bundle", "keyword", "markexpr", "lf", "stepwise"),
        *("deselect", "ignore", "ignore_glob"),
    )
    return (
        not any(getattr(option, name, None) for name in narrowing)
        and config.args_source is pytest.Config.ArgsSource.TESTPATHS
    )


def record(config: pytest.Config, factor: float) -> str:
    """Record the commit and seconds of a full run that passed; returns the outcome in one line."""
    commit = state_of_checkout()
    if not is_whole(config) or config.getoption("--full") != "all":
        return "not recorded: not all tests were asked for"
    if not commit or commit != _chosen["start"]:
        return "not recorded: the files are not those of a commit"
    RECORD.write_text(f"{commit}\n")
    parts = {"always": seconds.of("always"), "full": seconds.of("full")}
    names = sorted(parts["always"])
    table = {name: {w: round(s[name] / factor, 1) for w, s in parts.items() if name in s} for name in names}
    SECONDS.write_text(json.dumps(table, indent=4) + "\n")
    return f"recorded in {RECORD.relative_to(ROOT)} and {SECONDS.name}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if any(_chosen.get("lines", [])):
        terminalreporter.section("bundles and their CPU seconds")
        for line in _chosen["lines"]:
            terminalreporter.line(line)
