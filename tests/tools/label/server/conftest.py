"""A server on packed bundles, started as ``make label`` starts it; one for each folder below bundles/."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.contract.bundle import NAMES, ROOT, Bundle, Shell

START_S = 300  # for importing everything on a busy machine


@dataclass
class Server:
    """A running server: its address and folders, and how to use its model's folder without it.

    ``proxy`` listens where all its requests to other hosts would have to pass.
    """

    bundle: Bundle
    shell: Shell
    url: str
    app: Path
    scans: Path
    log: Path
    proxy: socket.socket

    @property
    def model(self) -> Path:
        return self.app / "monaibundle" / "model" / self.bundle.name

    @property
    def weights(self) -> Path:
        return self.model / "models" / "model.pt"

    @property
    def token(self) -> str:
        """As it was printed for people."""
        return re.search(r"as the password\n(\S+)\n", self.log.read_text()).group(1)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a logged-in client."""
        return {"Authorization": f"Bearer {self.token}"}

    def client(self, folder: Path):
        """The client that 3D Slicer uses, logged in as Slicer does; results go into ``folder``."""
        from monailabel.client import MONAILabelClient

        client = MONAILabelClient(self.url, tmpdir=str(folder))
        assert client.auth_enabled()
        client.update_auth(client.auth_token("anyone", self.token))
        assert client.auth_valid_token()
        return client


@pytest.fixture(scope="session")
def checkout(segments, shared, trained) -> Path:
    """A copy of the checkout with the quick training's weights and equally quick configs."""
    bundle = segments
    folder = shared / f"{bundle.name} checkout"
    ignore = shutil.ignore_patterns("__pycache__", "models", "eval", "data")
    for part in ("common", "tools"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in NAMES:
        shutil.copytree(ROOT / "bundles" / name, folder / "bundles" / name, ignore=ignore, symlinks=True)
    place = folder / "bundles" / bundle.name
    (place / "models").mkdir()
    for file in ("model.pt", "plan.json"):
        shutil.copy2(trained.ckpt_dir / file, place / "models" / file)
    train = bundle.config("train")
    short = {key: value for key, value in bundle.quick["train"].items() if key in train and key != "epochs"}
    for kind, quick in (("train", short), ("inference", {})):
        config = bundle.config(kind) | quick
        for key, value in bundle.network.items():
            node, argument = key.split("#")
            config[node][argument] = value
        (place / "configs" / f"{kind}.json").write_text(json.dumps(config, indent=4))
    return folder


@pytest.fixture(scope="session")
def scans(shared, trained, bundle) -> Path:
    """The phantom's scans or pictures without labels; among scans also one with oblique, reordered axes."""
    folder = shared / f"{bundle.name} scans"
    folder.mkdir()
    for file in sorted(trained.phantom.glob(f"images*/*{bundle.suffix}")):
        shutil.copy2(file, folder)
    if bundle.dims == 2:
        picture = Image.open(sorted(folder.iterdir())[-1])
        picture.resize((70, 43)).save(folder / "z_wide.png")
        picture.resize((41, 64)).save(folder / "z_z_tall.jpg")
        return folder
    scan = nib.load(sorted(folder.glob("*test*.nii.gz"))[0])
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    order = np.eye(4)[[2, 0, 1, 3]].T
    voxels = np.asarray(scan.dataobj).transpose(2, 0, 1)
    nib.save(nib.Nifti1Image(voxels, turn @ scan.affine @ order), folder / "oblique.nii.gz")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def server(bundle, checkout, scans, shared, shell) -> Iterator[Server]:
    """The command of ``make label`` on a free port; it is gone when the tests end."""
    port, app, log = free_port(), shared / f"{bundle.name} label", shared / f"{bundle.name} server.txt"
    words = ["--studies", scans, "--models", bundle.name, "--app", app, "--port", port]
    environment = {"HOME": str(shell.home), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    proxy = socket.create_server(("127.0.0.1", 0))
    proxy.setblocking(False)
    address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    environment |= {"OMP_WAIT_POLICY": "passive", "no_proxy": "127.0.0.1"}
    environment |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), address)
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.label", *map(str, words)],
            cwd=checkout,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Server(bundle, shell, f"http://127.0.0.1:{port}", app, scans, log, proxy)
    try:
        wait_until_it_answers(process, port, log)
        yield running
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        proxy.close()


def wait_until_it_answers(process: subprocess.Popen, port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-4000:]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise AssertionError(f"no answer in {START_S} s:\n{log.read_text()[-4000:]}")
