"""CPU seconds: those of commands are counted, idle time is not, and the table is right."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.contract.bundle import Shell
from tests.seconds import AMONG_OTHERS, LIMIT, Seconds, of_all_tests, take_of_all_tests, used

BUSY = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"


@pytest.mark.parametrize("warm", [True, False])
def test_commands_count(tmp_path, warm):
    shell = Shell(tmp_path, tmp_path)
    shell.python("-c", "pass")  # starts the warm Python, whose imports belong to no test
    start = used()
    shell.python("-c", BUSY, fresh=not warm)
    assert 0.5 < used() - start < 5


def test_idle_time_does_not_count():
    start = used()
    time.sleep(0.3)
    subprocess.run([sys.executable, "-S", "-c", "import time; time.sleep(0.3)"], check=True)
    assert used() - start < 0.3


def test_what_all_tests_share_is_taken_once():
    take_of_all_tests()
    with of_all_tests():
        sum(range(2_000_000))
    assert take_of_all_tests() > 0
    assert take_of_all_tests() == 0


def test_table():
    seconds = Seconds()
    for name, which, spent in (("cotr", "always", 20), ("cotr", "always", 10), ("trid", "always", 20)):
        seconds.add(name, which, spent)
    seconds.add("trid", "full", 100)
    seconds.total = 30 + 20 + 100 + 600
    lines = [line.split() for line in seconds.lines(1.0)]
    assert ["cotr", "30.0", "-"] in lines
    assert ["trid", "20.0", "100.0"] in lines
    assert lines[-3][-1] == "600.0"
    assert lines[-2][:2] == ["mean", "25.0"]
    assert lines[-1][-2:] == ["15", "minutes"]  # (25 x 50 + 600) / 2 / 60
    assert seconds.lines(1.0, whole=False)[-1].startswith("mean"), "of a part nothing can be told"


def test_limit_grows_on_a_slow_machine():
    seconds = Seconds()
    seconds.add("cotr", "always", LIMIT + 1)
    seconds.add("trid", "full", 10 * LIMIT)
    assert set(seconds.beyond(1.0, alone=True)) == {"cotr"}
    assert not seconds.beyond(1.5, alone=True)


def test_limit_is_wider_when_other_tests_run_too():
    seconds = Seconds()
    seconds.add("cotr", "always", LIMIT * AMONG_OTHERS - 1)
    seconds.add("trid", "always", LIMIT * AMONG_OTHERS + 1)
    assert set(seconds.beyond(1.0, alone=False)) == {"trid"}


def test_costly():
    seconds = Seconds(tests={"a": 1.0, "b": 3.0, "c": 2.0})
    assert [line.split() for line in seconds.costly(2)] == [["3.0", "b"], ["2.0", "c"]]
