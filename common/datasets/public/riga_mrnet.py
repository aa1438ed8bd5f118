"""RIGA as MRNet hands it out: optic disc and cup in 750 fundus photographs, each by six raters.

Raw layout, three lists encoded in GBK with paths written with backslashes::

    RAW/Glaucoma_multirater_BinRushed.csv        195 pictures
    RAW/Glaucoma_multirater_MESSIDOR.csv         460
    RAW/Glaucoma_multirater_Magrabia.csv          95
    ,imgName,maskName,label,center,xmin,ymin,xmax,ymax,width,height,discFlag,rater        header
    0,BinRushed\\image1.jpg,BinRushed\\image1FinalLabel.tif,0,BinRushed,120,80,520,480,800,600,1,0

Seven rows for each picture: that with ``FinalLabel`` in the mask's name is the consensus, and the raters'
masks have the same name with ``Rater1`` to ``Rater6`` in its place.  BinRushed and MESSIDOR (655) train,
Magrabia (95) is the test list.  Labels are 0 background, 1 disc rim, 2 cup, of the consensus under ``label``,
of the raters under ``label_1`` to ``label_6``.  Masks are coded 0 background, about 127 rim, 255 cup; other
codings are refused.  Pictures are kept whole: the lists' boxes are not applied.

Source: trid/docs/method.md#riga-lists-and-masks.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PureWindowsPath

import numpy as np

from common.datasets.raw.disc_codings import CODINGS, coding_of, decode
from common.datasets.raw.picture_lists import read_mask
from common.datasets.raw.prepare import RawPicture, Reader
from common.errors import InputError
from common.pictures import read_picture

__all__ = ["PICTURES", "READER"]

PICTURES = {"BinRushed": 195, "MESSIDOR": 460, "Magrabia": 95}
"""Number of pictures by list."""

_TRAINING = ("BinRushed", "MESSIDOR")
_RATERS = 6
_FINAL = "FinalLabel"


@dataclass(frozen=True)
class _Case:
    domain: str
    image: Path
    final: Path

    def files(self) -> dict[str, Path]:
        """The masks by their keys in dataset.json."""
        raters = range(1, _RATERS + 1)
        names = {f"label_{i}": self.final.name.replace(_FINAL, f"Rater{i}") for i in raters}
        return {"label": self.final, **{key: self.final.with_name(name) for key, name in names.items()}}

    def missing(self) -> Path | None:
        return next((file for file in (self.image, *self.files().values()) if not file.is_file()), None)


class _RigaOfMRNet(Reader):
    """Reads the lists, the pictures, and seven masks for each."""

    description = {
        "name": "RIGA (MRNet)",
        "description": "Fundus photographs with optic disc and cup by six raters and their consensus",
        "reference": "Almazroa et al., RIGA, 2018; as distributed with MRNet (Ji et al., CVPR 2021)",
        "tensorImageSize": "2D",
        "modality": {"0": "red", "1": "green", "2": "blue"},
        "labels": {"0": "background", "1": "disc rim", "2": "cup"},
    }

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """BinRushed and MESSIDOR, then Magrabia, each in its list's order.

        Raises:
            InputError: a list is missing or broken, has another number of pictures than was published, or
                names a file that is not there; with ``partial`` fewer pictures are accepted.
        """
        cases = _cases(source)
        for domain, expected in PICTURES.items():
            number = sum(case.domain == domain for case in cases.values())
            if number > expected or (number < expected and not partial):
                raise InputError(
                    f"{_list(source, domain)}: lists {number} pictures; expected {expected}: complete the "
                    f"download, or take what is there with  --partial true"
                )
        there = {name: case for name, case in cases.items() if case.missing() is None}
        if len(there) < len(cases) and not (partial and there):
            absent = next(case for name, case in cases.items() if name not in there)
            raise InputError(
                f"{absent.missing()}: not there, but the list of {absent.domain} asks for it; "
                f"{len(cases) - len(there)} of {len(cases)} pictures lack a file: complete the download, or "
                f"take what is there with  --partial true"
            )
        return {
            "training": [name for name, case in there.items() if case.domain in _TRAINING],
            "test": [name for name, case in there.items() if case.domain not in _TRAINING],
        }

    def domain_of(self, source: Path, case: str) -> str:
        """The list that names the case."""
        return _cases(source)[case].domain

    def read(self, source: Path, case: str) -> RawPicture:
        """One picture with the consensus and six raters' labels.

        Raises:
            InputError: a file cannot be read, has another size than its picture, no disc, or another coding.
        """
        found = _cases(source)[case]
        image = np.asarray(read_picture(found.image))
        labels = {
            key: _label_of(read_mask(path, image, found.image).mean(axis=2), path)
            for key, path in found.files().items()
        }
        return RawPicture(image=image, label=labels.pop("label"), further_labels=labels)


READER = _RigaOfMRNet()


def _label_of(mask: np.ndarray, path: Path) -> np.ndarray:
    coding = coding_of(mask)
    label = decode(mask, "MRNet")
    if coding != "MRNet" and (coding is None or label.any()):
        told = "an unknown coding" if coding is None else f"{coding}'s coding ({CODINGS[coding]})"
        instead = "is it a mask?" if coding is None else "python -m common.datasets prepare optic  reads it"
        raise InputError(f"{path}: has {told}; expected MRNet's ({CODINGS['MRNet']}): {instead}")
    if not label.any():
        raise InputError(f"{path}: has no disc; expected one: is it the right file?")
    return label


def _list(source: Path, domain: str) -> Path:
    return source / f"Glaucoma_multirater_{domain}.csv"


@lru_cache(maxsize=4)
def _cases(source: Path) -> dict[str, _Case]:
    """Case name -> its files, in the order of the lists."""
    cases: dict[str, _Case] = {}
    for domain in PICTURES:
        for image, final in _pictures(_list(source, domain)):
            name = re.sub(r"[^\w-]+", "_", str(Path(image).with_suffix("")))
            name = name if name.startswith(domain) else f"{domain}_{name}"
            cases[name] = _Case(domain, source / image, source / final)
    return cases


def _pictures(file: Path) -> Iterator[tuple[str, str]]:
    """Picture and consensus mask of every picture of a list, as relative paths with slashes."""
    finals: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    for image, mask in _read_list(file):
        rows[image] = rows.get(image, 0) + 1
        if _FINAL in Path(mask).name:
            finals.setdefault(image, []).append(mask)
    for image, number in rows.items():
        if number != _RATERS + 1 or len(set(finals.get(image, []))) != 1:
            raise InputError(
                f"{file}: has {number} rows of {image}, {len(finals.get(image, []))} of them with {_FINAL}; "
                f"expected {_RATERS + 1}, one with {_FINAL} for the consensus: restore the list from the "
                f"download"
            )
        yield image, finals[image][0]


def _read_list(file: Path) -> list[tuple[str, str]]:
    try:
        with file.open(newline="", encoding="gbk") as text:
            rows = list(csv.DictReader(text))
        return [(_posix(row["imgName"]), _posix(row["maskName"])) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise InputError(
            f"{file}: cannot be read as a list ({error}); expected GBK text with the columns imgName and "
            f"maskName: correct --source, or download it again"
        ) from error


def _posix(path: str) -> str:
    return PureWindowsPath(path.strip()).as_posix()
