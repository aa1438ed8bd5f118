"""Work that is killed at random moments: nothing torn, nothing lost, and the next run goes on.

``make test-faults`` runs this file; its name keeps it out of every other run.  The moments are drawn from a
seed, but a machine is never twice equally fast.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import pytest
from PIL import Image

from common.checkpoints.store import read_checkpoint
from common.registry.archive import open_zip
from common.registry.verify import verify
from tests.contract.bundle import ROOT, Bundle, Run, Shell, Told, config_words, words_of

ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "20"))
SEED = 7
_KILLED = Path(__file__).with_name("killed.py")
_LEFT = re.compile(r"\.\d+\..+|\..+\.partial")


@dataclass
class Work:
    """Some command that is killed again and again.

    Args:
        shell: runs it.
        words: behind ``python``.
        modules: that it imports first; the time until then does not count.
        path: PYTHONPATH.
    """

    shell: Shell
    words: list
    modules: str = ""
    path: Path | None = None

    def whole(self) -> tuple[Told, float]:
        """Run it undisturbed; what it told, and its seconds."""
        return self._run(3600)

    def killed(self, seconds: float) -> bool:
        """Run it, and whether it was killed before its end."""
        told, _ = self._run(seconds)
        if told.code == -signal.SIGKILL:
            return True
        told.ok()
        return False

    def _run(self, seconds: float) -> tuple[Told, float]:
        start = time.monotonic()
        told = self.shell.python(_KILLED, seconds, self.modules, *self.words, path=self.path)
        return told, time.monotonic() - start


def moments(name: str, seconds: float) -> Iterable[float]:
    """When to kill, in seconds after the start, up to the length of the undisturbed work."""
    draws = random.Random(f"{SEED} {name}")
    return (draws.uniform(0, seconds) for _ in range(ROUNDS))


def load(file: Path) -> None:
    """Read a file whole; whatever is wrong with it is raised."""
    if file.suffix == ".pt":
        assert read_checkpoint(file)
    elif file.suffix == ".json":
        json.loads(file.read_text())
    elif file.suffix == ".csv":
        header, *rows = file.read_text().splitlines()
        assert rows
        assert all(len(row.split(",")) == len(header.split(",")) for row in rows)
        assert file.read_text().endswith("\n")
    elif file.suffix in (".png", ".jpg"):
        with Image.open(file) as picture:
            picture.load()
    elif file.name.endswith(".nii.gz"):
        assert nib.load(file).get_fdata().size
    elif file.suffix == ".zip":
        verify(file)


def seen(folder: Path) -> set[str]:
    """The files that somebody who looks into the folder takes for results."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder) for path in files)
    return {name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)}


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if _LEFT.fullmatch(path.name)]


def check_whole(folder: Path) -> set[str]:
    """Load every file; their names."""
    for name in (found := seen(folder)):
        load(folder / name)
    return found


def repeat(name: str, work: Work, folder: Path, go_on: Callable[[], None]) -> int:
    """Kill the work in every round, look at what is there, and go on; returns how often it was killed.

    Args:
        name: for the random numbers.
        work: done once already, undisturbed.
        folder: where it writes.
        go_on: the next run, and what must be true after it.
    """
    _, seconds = work.whole()
    kills = 0
    for moment in moments(name, seconds):
        before = check_whole(folder)
        kills += work.killed(moment)
        lost = before - check_whole(folder)
        assert not {name for name in lost if not is_moved(folder, name)}
        go_on()
        check_whole(folder)
        assert not left_over(folder)
    print(f"\n{name}: killed {kills} of {ROUNDS} times; {seconds:.1f} s undisturbed")
    return kills


def is_moved(folder: Path, name: str) -> bool:
    """Whether trainings have moved a file aside: ``models/x`` to ``models_previous/x``, then to ``_2/x``."""
    place = Path(name)
    first = place.parts[0].partition("_previous")[0]
    return any(folder.glob(f"{first}_previous*/**/{place.name}"))


def bundle_work(shell: Shell, run: Run, kind: str, **more: object) -> Work:
    overrides = run.train_overrides if kind == "train" else run.inference_overrides
    files = config_words([run.bundle.config_file(kind)])
    return Work(shell, ["-m", "monai.bundle", "run", *files, *words_of({**overrides, **more})])


def resume_or_start(shell: Shell, run: Run, kind: str, ended: str) -> None:
    """Go on; where the earlier run had come to its end, begin another."""
    told, _ = bundle_work(shell, run, kind, resume=True).whole()
    if told.code and ended in told.err:
        told, _ = bundle_work(shell, run, kind).whole()
    told.ok()


@pytest.fixture(scope="module")
def run(tmp_path_factory, shell) -> Run:
    """A training of four epochs, done once, of a bundle that adapts: its inference has a state, too."""
    bundle = Bundle("vptta")
    folder = tmp_path_factory.mktemp("faults")
    made = Run(bundle, folder / "run", folder / "phantom")
    bundle.quick["train"]["epochs"] = 4
    bundle.quick["data"]["dataset_dir#test"] = 6
    bundle_work(shell, made, "train")._run(3600)[0].ok()
    return made


def test_training(run, shell):
    work = bundle_work(shell, run, "train")
    assert repeat(
        "training",
        work,
        run.folder,
        lambda: resume_or_start(shell, run, "train", "training ended after epoch"),
    )
    assert run.weights.is_file()


def test_inference(run, shell, tmp_path):
    place = Run(run.bundle, tmp_path / "run", run.phantom)
    shutil.copytree(run.ckpt_dir, place.ckpt_dir)
    listed = json.loads((run.phantom / "dataset.json").read_text())["test"]
    masks = {f"{Path(case['image']).stem}_seg.png" for case in listed}

    def go_on() -> None:
        resume_or_start(shell, place, "inference", "images of this stream were predicted")
        assert masks <= seen(place.output_dir)

    assert repeat("inference", bundle_work(shell, place, "inference"), place.folder, go_on)


_PHANTOM = """
import sys
from common.phantoms import fundus
fundus.make(sys.argv[1], source="A", training=6, validation=3, test=3, size=96, seed=int(sys.argv[2]))
"""


def test_phantom_making(shell, tmp_path):
    """Each takes another's place: its folder is the old one, the new one, or for a moment none."""
    folder, seeds = tmp_path / "phantom", iter(range(1000))

    def work() -> Work:
        words = ["-c", _PHANTOM, folder, next(seeds)]
        return Work(shell, words, "common.phantoms.fundus", ROOT)

    work().whole()[0].ok()
    _, seconds = work().whole()
    kills = 0
    for moment in moments("phantom", seconds):
        kills += work().killed(moment)
        if folder.exists():
            files = check_whole(folder)
            assert _listed(folder) <= files
        work().whole()[0].ok()
        assert _listed(folder) <= check_whole(folder)
        assert not left_over(tmp_path)
    print(f"\nphantom making: killed {kills} of {ROUNDS} times; {seconds:.1f} s undisturbed")
    assert kills


def _listed(folder: Path) -> set[str]:
    described = json.loads((folder / "dataset.json").read_text())
    cases = [case for section in ("training", "validation", "test") for case in described[section]]
    return {case[key] for case in cases for key in ("image", "label")}


@pytest.fixture(scope="module")
def dist(tmp_path_factory, shell) -> Path:
    """All bundles packed and indexed, once."""
    folder = tmp_path_factory.mktemp("dist")
    registry(shell, "pack", "--all", "--target", folder).whole()[0].ok()
    registry(shell, "index", folder, "--base-url", "https://example.org").whole()[0].ok()
    return folder


def registry(shell: Shell, *words: object) -> Work:
    return Work(shell, ["-m", "common.registry", *words], "common.registry", ROOT)


def test_packing(dist, shell, tmp_path):
    folder = tmp_path / "dist"
    shutil.copytree(dist, folder)
    work = registry(shell, "pack", "--all", "--target", folder)

    def go_on() -> None:
        work.whole()[0].ok()

    assert repeat("packing", work, folder, go_on)
    assert {p.name for p in folder.glob("*.zip")} == {p.name for p in dist.glob("*.zip")}


def test_indexing(dist, shell, tmp_path):
    """The index and the page that are there refer to what is there."""
    folder = tmp_path / "dist"
    shutil.copytree(dist, folder)
    urls = iter(f"https://example.org/{number}" for number in range(1000))

    def work() -> Work:
        return registry(shell, "index", folder, "--base-url", next(urls))

    _, seconds = work().whole()
    kills = 0
    for moment in moments("indexing", seconds):
        kills += work().killed(moment)
        _check_index(folder)
        work().whole()[0].ok()
        _check_index(folder)
        assert not left_over(folder)
    print(f"\nindexing: killed {kills} of {ROUNDS} times; {seconds:.1f} s undisturbed")
    assert kills


def _check_index(folder: Path) -> None:
    entries = json.loads((folder / "bundle_index.json").read_text())
    assert {f"{key}.zip" for key in entries} == {path.name for path in folder.glob("*.zip")}
    for key, entry in entries.items():
        verify(folder / f"{key}.zip", entry)
    page = (folder / "index.html").read_text()
    assert page.rstrip().endswith("</html>")
    pictures = re.findall(r'src="(pictures/[^"]+)"', page)
    assert pictures
    for picture in pictures:
        load(folder / picture)


def test_fetching(dist, shell, tmp_path):
    """The bundle is there whole or not at all; one that was there stays."""
    work = registry(shell, "get", "cotr", "--index", dist / "bundle_index.json", "--bundle_dir", tmp_path)
    entries = json.loads((dist / "bundle_index.json").read_text())
    local = {key: {**entry, "source": f"{key}.zip"} for key, entry in entries.items()}
    shutil.copytree(dist, tmp_path / "server")
    (tmp_path / "server" / "bundle_index.json").write_text(json.dumps(local))
    work.words[work.words.index(dist / "bundle_index.json")] = tmp_path / "server" / "bundle_index.json"
    (key,) = [key for key in entries if key.startswith("cotr_v")]
    with open_zip(dist / f"{key}.zip") as archive:
        whole = {name.removeprefix("cotr/"): archive.getinfo(name).file_size for name in archive.namelist()}
    told, seconds = work.whole()
    told.ok()
    kills = 0
    for moment in moments("fetching", seconds):
        shutil.rmtree(tmp_path / "cotr")
        kills += work.killed(moment)
        if not (tmp_path / "cotr").exists():
            work.whole()[0].ok()
        found = {p.relative_to(tmp_path / "cotr").as_posix(): p.stat().st_size
                 for p in (tmp_path / "cotr").rglob("*") if p.is_file()}  # fmt: skip
        assert found == whole
        assert not [path.name for path in tmp_path.iterdir() if _LEFT.fullmatch(path.name)]
    print(f"\nfetching: killed {kills} of {ROUNDS} times; {seconds:.1f} s undisturbed")
    assert kills
