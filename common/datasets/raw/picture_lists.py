"""CSV lists of pictures and masks, one or two files for each domain, as the 2D benchmarks are distributed.

    RAW/REFUGE_train.csv, RAW/REFUGE_test.csv   or   RAW/REFUGE.csv        one domain
    RAW/MESSIDOR_Base1_unlabeled.csv                                       its unlabelled pictures
    image,mask                                                             header
    REFUGE/train/image/a.png,REFUGE/train/mask/a.png                       paths relative to RAW

Both lists of a domain are joined, training list first; within a list the rows keep their order, which is part
of the protocol of methods that adapt over a stream.  A list with the column ``image`` alone has no masks: its
cases are ``unlabelled``.

Source: trid/docs/method.md#fundus-photographs and trid/docs/method.md#riga-lists-and-masks and
vptta/docs/method.md#polyp-frames.
"""

from __future__ import annotations

import csv
import logging
import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from common.datasets.raw.prepare import RawCase, RawPicture, Reader
from common.errors import InputError
from common.pictures import open_picture, read_picture

__all__ = ["PictureListReader", "read_mask"]

logger = logging.getLogger(__name__)

_PART = re.compile(r"_(train|test|unlabell?ed)$")
_PARTS = ("", "train", "test", "unlabeled")


@dataclass(frozen=True)
class _Row:
    domain: str
    image: Path
    mask: Path | None


class PictureListReader(Reader):
    """Reads the lists and the pictures; a subclass says what the mask's values mean.

    Attributes:
        published: number of pictures with masks by domain, in the published order; other domains come after
            these, by name.
    """

    published: Mapping[str, int]

    def list_cases(self, source: Path, *, partial: bool) -> dict[str, list[str]]:
        """The first domain trains, the others are the test list; ``partial`` drops rows without files.

        A line in the log names every domain that has another number of pictures than was published.

        Raises:
            InputError: no lists, two for the same pictures, a list without the column ``image``, or rows
                without files.
        """
        rows = _rows(self, source)
        there = {name: row for name, row in rows.items() if not _missing(row)}
        if len(there) < len(rows) and not (partial and there):
            row = next(row for name, row in rows.items() if name not in there)
            raise InputError(
                f"{_missing(row)}: not there, but a list of {row.domain} names it; "
                f"{len(rows) - len(there)} of {len(rows)} cases lack a file: complete the download, or take "
                f"what is there with  --partial true"
            )
        labelled = [name for name, row in there.items() if row.mask is not None]
        found = dict.fromkeys(there[name].domain for name in labelled)
        domains = [domain for domain in self.published if domain in found]
        domains += sorted(domain for domain in found if domain not in self.published)
        by_domain = {
            domain: [name for name in labelled if there[name].domain == domain] for domain in domains
        }
        self._tell_numbers(by_domain)
        if not domains:
            raise InputError(f"{source}: no list has masks; expected the columns image,mask in some")
        lists = {
            "training": by_domain[domains[0]],
            "test": [name for domain in domains[1:] for name in by_domain[domain]],
        }
        unlabelled = [name for name, row in there.items() if row.mask is None]
        return lists | ({"unlabelled": unlabelled} if unlabelled else {})

    def _tell_numbers(self, by_domain: Mapping[str, list[str]]) -> None:
        for domain, names in by_domain.items():
            if len(names) != self.published.get(domain, len(names)):
                logger.warning(
                    "%s: %d pictures with masks; the published benchmark has %d, so scores are not those of "
                    "its protocol",
                    domain,
                    len(names),
                    self.published[domain],
                )

    def domain_of(self, source: Path, case: str) -> str:
        """The domain whose list names the case."""
        return _rows(self, source)[case].domain

    def domain_of_list(self, name: str) -> str:
        """The domain of a list, given the name of its file without part and suffix."""
        return name

    def file_of_mask(self, mask: Path) -> Path:
        """The file that is read for a mask that a list names."""
        return mask

    def read(self, source: Path, case: str) -> RawCase | RawPicture:
        """One picture with its label.

        Raises:
            InputError: a file cannot be read, or mask and picture have different sizes.
        """
        row = _rows(self, source)[case]
        image = np.asarray(read_picture(row.image))
        if row.mask is None:
            return RawPicture(image=image, label=None)
        return RawPicture(image=image, label=self.label_of(read_mask(row.mask, image, row.image), row.mask))

    @abstractmethod
    def label_of(self, mask: np.ndarray, path: Path) -> np.ndarray:
        """Class numbers (H, W) uint8 of a mask (H, W, 3) uint8.

        Raises:
            InputError: its values are not those of the data set; ``path`` is named.
        """


def read_mask(mask_file: Path, image: np.ndarray, image_file: Path) -> np.ndarray:
    """The mask (H, W, 3) uint8 of a picture (H, W, 3), upright like it.

    Raises:
        InputError: it cannot be read, or has another size.
    """
    mask = np.asarray(open_picture(mask_file).convert("RGB"))
    if mask.shape != image.shape:
        raise InputError(
            f"{mask_file}: has {mask.shape[1]} x {mask.shape[0]} pixels, its picture {image_file.name} "
            f"{image.shape[1]} x {image.shape[0]}; expected the same: is it the right mask?"
        )
    return mask


def _missing(row: _Row) -> Path | None:
    return next((file for file in (row.image, row.mask) if file is not None and not file.is_file()), None)


@lru_cache(maxsize=4)
def _rows(reader: PictureListReader, source: Path) -> dict[str, _Row]:
    """Case name -> row, in the order of the lists: each domain's training list first."""
    rows: dict[str, _Row] = {}
    for (domain, _), file in sorted(_lists(reader, source).items(), key=lambda item: _place(*item[0])):
        for image, mask in _read_list(file):
            mask_file = None if mask is None else reader.file_of_mask(source / mask)
            row = _Row(domain, source / image, mask_file)
            name = re.sub(r"[^\w-]+", "_", f"{row.domain}_{Path(image).stem}")
            while name in rows:  # two pictures with one name, in different folders
                name += "_"
            rows[name] = row
    return rows


def _place(domain: str, part: str) -> tuple[str, int]:
    return domain, _PARTS.index(part)


def _lists(reader: PictureListReader, source: Path) -> dict[tuple[str, str], Path]:
    """Domain and part -> file.

    Raises:
        InputError: there is none, or two files list the same pictures.
    """
    found: dict[tuple[str, str], Path] = {}
    for file in sorted(source.glob("*.csv")):
        match = _PART.search(file.stem)
        part = "" if match is None else match[1].replace("labelled", "labeled")
        domain = reader.domain_of_list(_PART.sub("", file.stem))
        same = ["", "train", "test"] if part == "" else [part] if part == "unlabeled" else ["", part]
        twice = next((found[domain, other] for other in same if (domain, other) in found), None)
        if twice is not None:
            raise InputError(
                f"{file}: lists pictures of {domain}, as does {twice.name}; expected one list, or one for "
                f"training and one for testing: move one of the two files away"
            )
        found[domain, part] = file
    if not found:
        raise InputError(
            f"{source}: no .csv file is there; expected the lists of the domains, such as REFUGE_train.csv "
            f"and REFUGE_test.csv: correct --source"
        )
    return found


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
