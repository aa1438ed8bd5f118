"""Without a GPU, Triton's kernels run through its interpreter; that is decided when triton is imported."""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
