"""Settings needed before torch and triton are imported, and the suite's hooks.

Two processes run the tests on two cores: one thread each, since on a loaded machine threads that wait for one
another cost many times what they save.  Without a GPU, Triton's kernels run through its interpreter.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from tests.contract.fixtures import home, make_run, shared, shell, trained, unpacked
from tests.of_bundles import FIXTURES, bundle, pytest_generate_tests
from tests.suite import *  # noqa: F403 (the hooks)

globals().update(FIXTURES)
__all__ = [
    "bundle",
    "home",
    "make_run",
    "pytest_generate_tests",
    "shared",
    "shell",
    "trained",
    "unpacked",
]
