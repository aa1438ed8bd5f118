"""Settings that must stand before torch and triton are imported.

Two processes run the tests on two cores: one thread each, since threads that wait for one another on a
loaded machine cost many times what they save.  Without a GPU, Triton's kernels run through its interpreter.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
