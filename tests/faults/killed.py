"""Run ``python WORDS`` and kill it, as ``kill -9`` does: ``killed.py SECONDS MODULES WORDS``.

The clock starts when the modules (separated by commas) have been imported, so that the moment falls into the
work.  A process of its own keeps the time: nothing that the work does can put off the end.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import time


def main() -> None:
    """Take the words from the command line."""
    seconds, modules, kind, *words = sys.argv[1:]
    for name in filter(None, modules.split(",")):
        __import__(name)
    victim = os.getpid()
    if os.fork() == 0:
        time.sleep(float(seconds))
        if os.getppid() == victim:
            os.kill(victim, signal.SIGKILL)
        os._exit(0)
    if kind == "-m":
        sys.argv = words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *words[1:]]
        exec(compile(words[0], "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main()
