"""A folder that one process at a time writes to."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys

import pytest

from common import folder_lock
from common.errors import InputError
from common.folder_lock import LOCK_FILE, hold, locked
from tests.contract.bundle import ROOT

HOLD = (
    "import sys, time; from common.folder_lock import hold; hold(sys.argv[1], 'training'); "
    "print('held', flush=True); {then}"
)
TAKE = "import sys; from common.folder_lock import hold; hold(sys.argv[1], 'packing')"


def python(code, *words):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture
def other(tmp_path):
    """Another process that holds the folder."""
    process = python(HOLD.format(then="time.sleep(600)"), tmp_path)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_told_who_holds_it(other, tmp_path):
    with pytest.raises(InputError) as error, locked(tmp_path, "training"):
        raise AssertionError("must not come here")
    facts = json.loads((tmp_path / LOCK_FILE).read_text())
    assert facts["pid"] == other.pid
    assert str(error.value) == (
        f"{tmp_path}: a training (process {other.pid} on {facts['host']}, since {facts['since']}) is at "
        "work there; wait until it has ended, or choose another folder"
    )


def test_a_lock_of_a_dead_process_is_taken_over(other, tmp_path, caplog):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / LOCK_FILE).is_file()
    with caplog.at_level(logging.INFO, "common.folder_lock"), locked(tmp_path, "training"):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()
    assert f"process {other.pid}" in caplog.text
    assert not (tmp_path / LOCK_FILE).exists()


def test_processes_that_the_holder_leaves_behind_do_not_hold_it(tmp_path):
    """Workers that load data outlive a killed training by seconds."""
    fork = (
        "import os\nif os.fork() == 0: time.sleep(20); os._exit(0)\nprint('held', flush=True); time.sleep(20)"
    )
    process = python(HOLD.split("; print")[0] + "\n" + fork, tmp_path)
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    with locked(tmp_path, "training"):
        pass


def test_it_is_free_after_the_block_and_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), locked(tmp_path, "packing"):
            raise KeyError
    assert python(TAKE, tmp_path).wait() == 0


def test_one_process_may_hold_it_several_times(tmp_path):
    first, second = hold(tmp_path, "training"), hold(tmp_path, "training")
    first()
    first()  # a second call does nothing
    refused = python(TAKE, tmp_path)
    assert "InputError" in refused.communicate()[1]
    second()
    assert python(TAKE, tmp_path).wait() == 0


def test_a_file_system_without_locks_is_only_a_warning(tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock.fcntl, "lockf", no_locks)
    with locked(tmp_path, "training"):
        assert "cannot be locked (No locks available)" in caplog.text
