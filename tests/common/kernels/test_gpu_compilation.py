"""Every Triton kernel compiles for the supported GPUs, even on a machine without one."""

import json
import os
import subprocess
import sys

import pytest

from tests.contract.bundle import ROOT

pytest.importorskip("triton", reason="Triton is not installed")
NAMES = {
    "_forward_kernel",  # of deformable attention, and of the dynamic head
    "_backward_kernel",
    "_moments_kernel",
    "_affine_kernel",
    "_sums_kernel",
    "_gradients_kernel",
    "_kernel",  # of the mutual consistency
}


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_kernels_compile(capability, tmp_path):
    """For compute capability 8.0 (A100) and 9.0 (H100, H200); channels are read four at a time."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    command = [sys.executable, "-m", "tests.common.kernels.gpu_compilation", str(capability)]
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr[-3000:]
    launches = json.loads(told.stdout)
    assert {name for name, _ in launches} == NAMES
    forward, backward, without_atomics = (touched for _, touched in launches[:3])  # 3D, float32
    assert {"ld.global.v4.b32", "st.global.v4.b32"} <= set(forward)
    adds = [i for i in backward if i.startswith(("red", "atom"))]
    assert adds
    assert all("add" in i for i in adds)
    if capability == 90:  # adding four sums at a time needs it
        assert any(i.endswith("add.v4.f32") for i in adds)
    assert not [i for i in without_atomics if i.startswith(("red", "atom"))]
