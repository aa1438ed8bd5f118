"""Every command in the README or a model card is run as printed, with tiny sizes appended."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from common.phantoms import abdomen, fundus
from tests.common.datasets.raw_amos22 import write_amos22
from tests.common.datasets.raw_bcv import RawBcv
from tests.common.datasets.raw_kipa22 import write_kipa22
from tests.common.datasets.raw_kits21 import RawKits21
from tests.common.datasets.raw_left_atrium import RawLeftAtrium
from tests.common.datasets.raw_pictures import raw_optic, raw_polyp
from tests.common.datasets.raw_prostate import raw_prostate
from tests.common.datasets.raw_registration import write_acdc_pairs
from tests.common.datasets.raw_segrap2023 import MAPS, RawSegRap
from tests.common.datasets.raw_volumes import (
    published,
    write_acdc,
    write_brats2019,
    write_prepared_pancreas,
)
from tests.contract.bundle import ROOT, Bundle, Shell, words_of

README = ROOT / "README.md"
PAGES = [
    README,
    *sorted(ROOT.glob("bundles/*/docs/README.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "benchmarks" / "FIGURES.md",
]
#: Pages whose links are followed and which must be complete, besides.
LINKED = [
    *PAGES,
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("bundles/*/docs/method.md")),
    *sorted(ROOT.glob("common/*/*/README.md")),
]
ENVIRONMENT = {"COMMON_KERNELS", "VECTORS_DIR", "XDG_CACHE_HOME"}
#: Data sets that a page prepares: the placeholder for the folder -> what makes its raw download.
RAW = {
    "ACDC": lambda folder: write_acdc(folder, published("acdc", 8)),
    "AMOS22": lambda folder: write_amos22(folder, {"Tr": [1, 2, 4, 5, 507], "Va": [408]}),
    "BCV": lambda folder: RawBcv(folder, numbers=(1, 2, 32), shape=(20, 20, 10)),
    "BRATS": lambda folder: write_brats2019(folder, published("brats2019", 4)),
    "CINE": lambda folder: write_acdc_pairs(folder, [1, 2, 101]),
    "KIPA22": lambda folder: write_kipa22(folder, 5),
    "KITS21": lambda folder: RawKits21(folder, cases=5),
    "LA2018": lambda folder: RawLeftAtrium(folder, training=4, test=1),
    "OPTIC": raw_optic,
    "PANCREAS": lambda folder: write_prepared_pancreas(folder, cases=published("pancreas_ct", 4)),
    "POLYP": raw_polyp,
    "PROSTATE": raw_prostate,
    "SEGRAP2023": lambda folder: RawSegRap(folder, published("segrap2023", 4)),
}
#: Options of a phantom.
COUNTS = {"training", "validation", "test"}
#: Comparisons that take hours by design; tests/benchmarks runs them with a small budget.
BUDGETED = re.compile(r"benchmarks\.comparisons\.")
#: Commands that need the internet, or files of authors; tests/common/checkpoints runs them on a local server.
PUBLISHED = re.compile(r"common\.checkpoints (?:import|accept)\b")
COMMAND = re.compile(r"^    (?:python|torchrun) .*", re.MULTILINE)


def commands(page: Path) -> list[str]:
    return [line.split("  #")[0].strip() for line in COMMAND.findall(page.read_text())]


def own_data(folder: Path, bundle: Bundle) -> Path:
    """A user's own data: images and labels in plain folders, no dataset.json."""
    return own_volumes(folder, classes=5) if bundle.dims == 3 else own_pictures(folder)


def own_pictures(folder: Path) -> Path:
    """Labels 0 to 2."""
    phantom = Path(fundus.make(folder / "fundus", training=5, validation=0, test=1, size=48))
    (phantom / "dataset.json").unlink()
    for file in phantom.glob("*Ts/*_[C-E]_*"):
        file.unlink()
    return phantom.rename(folder / "own data")


def own_volumes(folder: Path, classes: int) -> Path:
    """Labels 0..classes-1."""
    phantom = Path(abdomen.make(folder / "abdomen", training=3, validation=1, test=1, shape=(48, 48, 24)))
    for file in phantom.glob("labels*/*.nii.gz"):
        label = nib.load(file)
        values = np.asarray(label.dataobj) % classes
        target = folder / "own data" / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(values.astype(np.uint8), label.affine), target)
    for images in phantom.glob("images*"):
        (folder / "own data" / images.name).symlink_to(images)
    return folder / "own data"


def own_signals(folder: Path) -> Path:
    """Measurements as CSV tables with their signals, 24 of 64 samples, laid out as the card says."""
    rng = np.random.default_rng(0)
    phi = rng.standard_normal((24, 64))
    folder.mkdir()
    np.savetxt(folder / "operator.csv", phi, delimiter=",")
    entries = []
    for name in "abcd":
        signal = np.zeros(64)
        signal[10:18] = rng.standard_normal(8)
        np.savetxt(folder / f"{name}_signal.csv", signal, delimiter=",")
        np.savetxt(folder / f"{name}.csv", phi @ signal, delimiter=",")
        entries.append({"image": f"{name}.csv", "label": f"{name}_signal.csv"})
    lists = {"training": entries[:2], "validation": entries[2:3], "test": ["d.csv"]}
    (folder / "dataset.json").write_text(json.dumps({"operator": "operator.csv", **lists}))
    return folder


def own_clip(file: Path) -> None:
    """Half a second of sound."""
    wavfile.write(file, 8000, np.random.default_rng(0).normal(0, 3000, 4000).astype(np.int16))


def own_photograph(folder: Path) -> Path:
    folder.mkdir()
    Image.effect_mandelbrot((96, 80), (-2, -1, 1, 1), 50).save(folder / "picture.png")
    return folder


def tiny(command: str, folder: Path, bundle: Bundle) -> dict:
    """Overrides that make a printed run small and keep it out of the checkout."""
    if "datasets prepare" in command:
        return {"partial": True}
    if "monai.bundle run" not in command:
        return {}
    if "REFERENCES" in command:
        return {"output_dir": folder / f"scores of {len(command)} letters"}
    kinds = [kind for kind in bundle.quick.get("configs", {}) if kind in bundle.quick]
    own_kinds = [kind for kind in kinds if f"{kind}.json" in command]
    place = "paper" if "paper.json" in command else "own" if re.search("DIR|SIGNALS", command) else "run"
    place = "_".join([place, *own_kinds])
    settings = {"output_dir": folder / place / "eval", "ckpt_dir": folder / place / "models"}
    if not re.search("|".join(["DIR", "SIGNALS", *RAW]), command):
        phantom = folder / "_".join(["phantom", *own_kinds])  # an overlay may be for other data
        settings |= {"dataset_dir#folder": phantom, **bundle.quick["data"]}
    if "dataset_dir#folder" in command:
        settings.pop("dataset_dir#folder", None)
    if "train.json" in command:
        settings |= bundle.quick["train"]
    if "paper.json" in command:
        settings |= bundle.quick["paper"]
    if "dataset_dir#source" in command:  # how many cases there are follows from the files
        settings = {
            key: value for key, value in settings.items() if key.removeprefix("dataset_dir#") not in COUNTS
        }
    for kind in own_kinds:
        settings |= bundle.quick[kind]
    return settings


class Reader:
    """A reader who runs what a page prints, in order, with their own files where it names some.

    DIR stands for the reader's scans, SIGNALS for their measurements, REFERENCES for a challenge's release
    PREDICTIONS for label maps of its cases (those prepared by an earlier command), TEAM_A and TEAM_B for
    submissions, PICTURES for a folder in which a phantom is made, CLIP.wav for a recording and PHOTOGRAPHS
    for a folder of pictures.
    """

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        self.bundle, self.folder, self.shell = bundle, folder, Shell(ROOT, folder)
        self.data = own_data(folder, bundle)
        self.places = {
            "DIR": self.data,
            "CLIP": folder / "own clip",
            "PHOTOGRAPHS": own_photograph(folder / "own photographs"),
            "PICTURES": folder / "pictures",
            "SIGNALS": own_signals(folder / "own signals"),
        }
        own_clip(folder / "own clip.wav")
        for word, make in RAW.items():
            make(folder / f"raw {word}")
            self.places[word] = folder / f"prepared {word}"
        released = {"REFERENCES": folder / "raw KITS21", "PREDICTIONS": self.places["KITS21"] / "labelsTr"}
        self.places |= released
        if bundle.name == "segrap2023":  # label maps, one of the forms of a submission
            maps = {"REFERENCES": folder / "raw SEGRAP2023" / MAPS / "Task001"}
            teams = {"TEAM_A": maps["REFERENCES"], "TEAM_B": self.places["SEGRAP2023"] / "labelsTr"}
            self.places |= maps | teams

    def run(self, command: str) -> None:
        if BUDGETED.search(command) or PUBLISHED.search(command):
            return
        if f"bundles/{self.bundle.name}/" in command or "common." in command:
            words = [*shlex.split(self.as_typed(command))[1:]]
            self.shell.python(*words, *words_of(tiny(command, self.folder, self.bundle))).ok()

    def as_typed(self, command: str) -> str:
        """With folders in place of their placeholders."""
        phantom = rf"bundles/{self.bundle.name}/data/\w+"  # where the bundle's first run puts it
        run = re.sub(phantom, shlex.quote(str(self.folder / "phantom")), command)
        data_set = next((word for word in RAW if word in command), "")
        named = self.places | {"RAW": self.folder / f"raw {data_set}"}
        words = rf"('?)\b({'|'.join(named)})\b('?)"  # all at once: a path may contain one of the placeholders

        def place(found: re.Match) -> str:
            path = str(named[found[2]])
            return f"'{path}'" if found[1] and found[3] else found[1] + shlex.quote(path) + found[3]

        run = re.sub(words, place, run)
        if "_export" in command:  # of the weights that the printed training has saved elsewhere
            models = shlex.quote(str(self.folder / "run" / "models"))
            run = run.replace(f"bundles/{self.bundle.name}/models", models)
        return run

    def check_own_data(self) -> None:
        """It is listed with all its labels, and predictions have no others."""
        labels = json.loads((self.data / "dataset.json").read_text())["labels"]
        assert sorted(labels) == (list("01234") if self.bundle.dims == 3 else list("012"))
        postfix = self.bundle.config("inference")["output_postfix"]
        (written,) = (self.folder / "own" / "eval").glob(f"*_{postfix}.*")
        if self.bundle.segments:
            volume = self.bundle.dims == 3
            values = np.asarray(nib.load(written).dataobj if volume else Image.open(written))
            assert values.max() < len(labels)


def test_commands_of_the_readme(tmp_path):
    """On the bundle that they name: the reader's data is listed, checked, trained on, predicted."""
    printed = commands(README)
    (name,) = {found for command in printed for found in re.findall(r"bundles/(\w+)/", command)}
    reader = Reader(Bundle(name), tmp_path)
    assert len(printed) >= 6
    for command in printed:
        reader.run(command)
    reader.check_own_data()


@pytest.mark.full
def test_commands_of_a_card(bundle, tmp_path):
    """They run after the README's commands that make the card's data sets."""
    card = commands(bundle.root / "docs" / "README.md")
    assert len(card) >= 5
    before = []
    for command in commands(README):
        target = re.search(r"--target (\w+)", command)
        if "datasets list" in command or (target and target[1] in " ".join(card)):
            before.append(command)
    reader = Reader(bundle, tmp_path)
    for command in dict.fromkeys([*before, *card]):
        reader.run(command)
    reader.check_own_data()


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    targets = re.findall(r"\]\(([^)#]+)\)|<img src=\"([^\"]+)\"", page.read_text())
    targets = [link or picture for link, picture in targets]
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_no_page_has_a_missing_figure():
    """A placeholder for a figure to be measured."""
    for page in LINKED:
        assert set(re.findall(r"\b[A-Z]{2,}_[A-Z_]{2,}\b", page.read_text())) <= ENVIRONMENT
