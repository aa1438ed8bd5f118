"""A disk that takes no more, and a folder in use: one line, and what was good before is there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from common.checkpoints.store import read_checkpoint
from tests.contract.bundle import ROOT, Told, config_words, words_of

pytestmark = pytest.mark.sample

#: Bytes beyond which no file may grow: weights and masks are larger, what comes before them is smaller.
LIMITS = {"train": 20_000, "inference": 64}
#: In Python, after whose start the limit is set; another process passes on what is printed, which may be
#: longer, too.
LIMITED = """
import os, resource, runpy, sys
out, into = os.pipe()
if child := os.fork():
    os.close(into)
    while text := os.read(out, 1 << 16):
        os.write(2, text)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
for stream in (1, 2):
    os.dup2(into, stream)
os.close(into)
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.dont_write_bytecode = True  # Python 3.11 would leave half a module in __pycache__, for all later runs
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("kind", ["train", "inference"])
def test_one_line_and_nothing_torn(bundle, kind, make_run, shell):
    run = make_run(weights=True)
    before = {path: path.read_bytes() for path in run.ckpt_dir.iterdir()}
    overrides = run.train_overrides if kind == "train" else run.inference_overrides
    words = ["monai.bundle", "run", *config_words([bundle.config_file(kind)]), *words_of(overrides)]
    error = shell.python("-c", LIMITED, LIMITS[kind], *words).error()
    assert "(File too large)" in error
    assert str(run.folder) in error
    assert "\n" not in error
    assert all(path.read_bytes() == content for path, content in before.items() if path.suffix == ".pt")
    assert read_checkpoint(run.weights)
    assert not list(run.folder.rglob(".*.pt"))


@pytest.mark.skipif(os.name != "posix", reason="no locks")
def test_a_second_training_is_told_who_holds_the_folder(bundle, make_run, shell):
    run = make_run()
    run.ckpt_dir.mkdir(parents=True)
    code = (
        "import sys; from common.folder_lock import hold\n"
        "hold(sys.argv[1], 'training'); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, run.ckpt_dir], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        told: Told = shell.run([bundle.config_file("train")], run.train_overrides)
        other.send_signal(signal.SIGKILL)
    error = told.error()
    assert f"a training (process {other.pid} on " in error
    assert str(run.ckpt_dir) in error
    facts = json.loads((run.ckpt_dir / ".lock").read_text())
    assert facts["pid"] == other.pid
