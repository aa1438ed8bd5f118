"""CSV lists of pictures and masks, one or two files for each domain, as the 2D benchmarks are distributed.

    RAW/REFUGE_train.csv, RAW/REFUGE_test.csv   or   RAW/REFUGE.csv        one domain
    image,mask                                                            header
    REFUGE/train/image/a.png,REFUGE/train/mask/a.png                      paths relative to RAW

Both lists of a domain are joined, training list first.  A list with the column ``image`` alone has no
masks: its cases are ``unlabelled``.  A mask ``a.tif`` stands for the raters' files ``a-1.tif`` to
``a-6.tif``, of which the first is taken.

Source: trid/docs/method.md#fundus-photographs and trid/docs/method.md#riga-lists-and-masks and
vptta/docs/method.md#polyp-frames.
"""

from __future__ import annotations

import csv
import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from common.datasets.raw.prepare import RawCase, RawPicture, Reader
from common.errors import InputError
from common.pictures import open_picture, read_picture

__all__ = ["PictureListReader"]

_PART = re.compile(r"_(train|test)$")
_RATER = "-1.tif"


@dataclass(frozen=True)
class _Row:
    domain: str
    image: Path
    mask: Path | None


class PictureListReader(Reader):
    """Reads the lists and the pictures; a subclass says what the mask's values mean.

    Attributes:
        order: the published order of the domains; others come after them, by name.
    """

    order: Sequence[str]

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The first domain trains, the others are the test list; ``partial`` drops rows without files.

        Raises:
            InputError: no lists, a list without the column ``image``, or rows without files.
        """
        rows = _rows(source)
        there = {name: row for name, row in rows.items() if not _missing(row)}
        if len(there) < len(rows) and not (partial and there):
            row = next(row for name, row in rows.items() if name not in there)
            raise InputError(
                f"{_missing(row)}: not there, but a list of {row.domain} names it; "
                f"{len(rows) - len(there)} of {len(rows)} cases lack a file: complete the download, or take "
                f"what is there with  --partial true"
            )
        found = dict.fromkeys(row.domain for row in there.values())
        domains = [domain for domain in self.order if domain in found]
        domains += sorted(domain for domain in found if domain not in self.order)
        labelled = [name for name, row in there.items() if row.mask is not None]
        by_domain = {
            domain: [name for name in labelled if there[name].domain == domain] for domain in domains
        }
        lists = {
            "training": by_domain[domains[0]],
            "test": [name for domain in domains[1:] for name in by_domain[domain]],
        }
        unlabelled = [name for name, row in there.items() if row.mask is None]
        return lists | ({"unlabelled": unlabelled} if unlabelled else {})

    def domain_of(self, source: Path, case: str) -> str:
        """The domain whose list names the case."""
        return _rows(source)[case].domain

    def read(self, source: Path, case: str) -> RawCase | RawPicture:
        """One picture with its label.

        Raises:
            InputError: a file cannot be read, or mask and picture have different sizes.
        """
        row = _rows(source)[case]
        image = np.asarray(read_picture(row.image))
        if row.mask is None:
            return RawPicture(image=image, label=None)
        mask = np.asarray(open_picture(row.mask).convert("RGB"))
        if mask.shape != image.shape:
            raise InputError(
                f"{row.mask}: has {mask.shape[1]} x {mask.shape[0]} pixels, its picture {row.image.name} "
                f"{image.shape[1]} x {image.shape[0]}; expected the same: is it the right mask?"
            )
        return RawPicture(image=image, label=self.label_of(mask, row.mask))

    @abstractmethod
    def label_of(self, mask: np.ndarray, path: Path) -> np.ndarray:
        """Class numbers (H, W) uint8 of a mask (H, W, 3) uint8.

        Raises:
            InputError: its values are not those of the data set; ``path`` is named.
        """


def _missing(row: _Row) -> Path | None:
    return next((file for file in (row.image, row.mask) if file is not None and not file.is_file()), None)


@lru_cache(maxsize=4)
def _rows(source: Path) -> dict[str, _Row]:
    """Case name -> row, in the order of the lists: each domain's training list first."""
    files = sorted(source.glob("*.csv"), key=lambda file: (_domain(file), file.stem.endswith("_test")))
    if not files:
        raise InputError(
            f"{source}: no .csv file is there; expected the lists of the domains, such as REFUGE_train.csv "
            f"and REFUGE_test.csv: correct --source"
        )
    rows: dict[str, _Row] = {}
    for file in files:
        for image, mask in _read_list(file):
            row = _Row(_domain(file), source / image, None if mask is None else _first_rater(source / mask))
            name = re.sub(r"[^\w-]+", "_", f"{row.domain}_{Path(image).stem}")
            while name in rows:  # two pictures with one name, in different folders
                name += "_"
            rows[name] = row
    return rows


def _domain(file: Path) -> str:
    return _PART.sub("", file.stem)


def _first_rater(mask: Path) -> Path:
    return mask.with_name(mask.stem + _RATER) if mask.suffix.lower() == ".tif" else mask


def _read_list(file: Path) -> list[tuple[str, str | None]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            table = csv.DictReader(text)
            columns = [name.strip() for name in table.fieldnames or []]
            table.fieldnames = columns
            rows = [(row["image"].strip(), (row.get("mask") or "").strip() or None) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError, TypeError) as error:
        raise InputError(
            f"{file}: cannot be read as a list ({error}); expected the header image,mask"
        ) from error
    lacking = [number for number, (_, mask) in enumerate(rows, start=2) if mask is None]
    if "mask" in columns and lacking:
        raise InputError(f"{file}: line {lacking[0]} names no mask; expected image,mask in every line")
    return rows
