"""A Python that has imported torch and MONAI, and forks itself for each command.

Importing them takes about six CPU seconds, most of a short command's cost.  A process forked from this one
has them already, but nothing of the project: it imports the bundle and ``common`` itself, from the folder and
with the environment that the command asks for.

Run as a program it says how much CPU time its imports took, and then reads one command a line from its
standard input (JSON: ``words`` behind ``python``, ``folder``, ``environment``, ``out`` and ``err``, the files
for both streams) and answers with the command's exit code and CPU time.
Unlike fresh interpreters, forks share the secret of string hashes and the seeds that random generators got at
import; :func:`_become` seeds NumPy's anew.  Tests of
determinism ask for a fresh interpreter.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

#: Imports of nearly every bundle command.
LIBRARIES = (
    "einops",
    "fire",
    "itk",
    "jsonschema",
    "matplotlib.pyplot",
    "monai.bundle",
    "monai.handlers",
    "monai.networks.nets",
    "monai.transforms",
    "nibabel",
    "PIL.Image",
    "scipy.ndimage",
    "torch.utils.tensorboard",
    "tqdm",
)


@dataclass(frozen=True)
class WarmPython:
    """The client: starts the program, sends it commands, and ends it with this process."""

    server: subprocess.Popen
    streams: Path

    #: CPU seconds of the imports, and of all commands so far.
    start_seconds: ClassVar[float] = 0.0
    command_seconds: ClassVar[float] = 0.0

    @classmethod
    @cache
    def start(cls) -> WarmPython:
        """Start one for all commands of this process."""
        home = Path(tempfile.mkdtemp(prefix="warm python "))
        server = subprocess.Popen(
            [sys.executable, __file__],
            cwd=home,
            env={"HOME": str(home), "PATH": os.defpath, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        atexit.register(server.stdin.close)
        cls.start_seconds = float(server.stdout.readline())
        return cls(server, home)

    def told(self, words: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """Exit code and both streams of ``python WORDS``."""
        files = {name: self.streams / name for name in ("out", "err")}
        command = {"words": words, "folder": str(folder), "environment": dict(environment)}
        command |= {name: str(file) for name, file in files.items()}
        print(json.dumps(command), file=self.server.stdin, flush=True)
        code, seconds = self.server.stdout.readline().split()
        WarmPython.command_seconds += float(seconds)
        out, err = (file.read_text() for file in files.values())
        return int(code), out, err


def serve() -> None:
    """Fork for each line until the input ends; the forks run their command and end with it."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    for name in LIBRARIES:
        __import__(name)
    gc.freeze()  # otherwise the forks' garbage collector would copy every page that it marks
    print(time.process_time(), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(command)
            _execute(command["words"])
            return
        _, status, used = os.wait4(child, 0)
        print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, flush=True)


def _become(command: Mapping[str, Any]) -> None:
    """Take on the command's folder, environment and streams."""
    import numpy as np

    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["environment"])
    sys.path[:0] = ["", *filter(None, command["environment"].get("PYTHONPATH", "").split(os.pathsep))]
    for stream, name in ((1, "out"), (2, "err")):
        file = os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream)
        os.close(file)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    np.random.seed(None)


def _execute(words: list[str]) -> None:
    """``python WORDS``: a module by -m, code by -c, or a file."""
    if words[0] == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(words[0]))
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    serve()
