"""Tiny raw downloads of the 2D benchmarks as distributed: CSV lists, pictures, masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CODINGS = {
    "optic": np.array([255, 128, 0], np.uint8),
    "riga": np.array([0, 255, 128], np.uint8),
    "mrnet": np.array([0, 127, 255], np.uint8),
}
RIGA_HEADER = ",imgName,maskName,label,center,xmin,ymin,xmax,ymax,width,height,discFlag,rater"


def eye(seed, size=(40, 50)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def truth(size=(40, 50)):
    label = np.zeros(size, np.uint8)
    label[10:30, 12:36] = 1
    label[14:22, 16:30] = 2
    return label


def write(root, path, array):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(root / path)


def raw_optic(root: Path) -> Path:
    """REFUGE (two lists), Drishti_GS (one list), BinRushed as in RIGA+ (raters, the other encoding)."""
    root.mkdir(parents=True)

    def add(list_name, domain, numbers, coding, mask_suffix=".png", masks=True):
        lines = ["image,mask" if masks else "image"]
        for i in numbers:
            image, mask = f"{domain}/image/{i}.png", f"{domain}/mask/{i}{mask_suffix}"
            write(root, image, eye(i))
            if masks:
                write(root, mask.replace(".tif", "-1.tif"), CODINGS[coding][truth()])
            lines.append(f"{image},{mask}" if masks else image)
        (root / list_name).write_text("\n".join(lines) + "\n")

    add("REFUGE_test.csv", "REFUGE", [3], "optic")
    add("REFUGE_train.csv", "REFUGE", [9, 1], "optic")
    add("Drishti_GS.csv", "Drishti_GS", [4], "optic")
    add("BinRushed.csv", "BinRushed", [5, 6], "riga", mask_suffix=".tif")
    add("MESSIDOR_Base1_train.csv", "Base1", [8], "riga", mask_suffix=".tif")
    add("MESSIDOR_Base1_unlabeled.csv", "Base1", [7], "riga", masks=False)
    return root


def raw_riga_mrnet(root: Path, counts: dict[str, int] | None = None) -> Path:
    """Pictures of the three lists, each with seven masks; rater i draws the cup i columns further right.

    By default two, one and one picture; the rows of a list keep their order, which is not that of the names.
    """
    for domain, count in (counts or {"BinRushed": 2, "MESSIDOR": 1, "Magrabia": 1}).items():
        lines = [RIGA_HEADER]
        for i in reversed(range(count)):
            write(root, f"{domain}/image{i}.jpg", eye(i))
            for rater in range(7):
                word = f"Rater{rater}" if rater else "FinalLabel"
                write(root, f"{domain}/image{i}{word}.tif", CODINGS["mrnet"][rater_truth(rater)])
                names = f"{domain}\\image{i}.jpg,{domain}\\image{i}{word}.tif"
                lines.append(f"{len(lines) - 1},{names},0,中心,1,1,9,9,50,40,1,{rater}")
        (root / f"Glaucoma_multirater_{domain}.csv").write_text("\n".join(lines) + "\n", encoding="gbk")
    return root


def rater_truth(rater, size=(40, 50)):
    """What a rater draws; 0 is the consensus."""
    label = truth(size)
    label[10:30, 12:36] = 1
    label[14:22, 16 + rater // 2 : 28 + rater // 2] = 2
    return label


def raw_polyp(root: Path) -> Path:
    """Two frames each, in a training and a test list: masks with JPEG's values, red masks, and empty ones."""
    root.mkdir(parents=True)
    grey = np.repeat(np.where(truth() > 0, 250, 6).astype(np.uint8)[..., None], 3, axis=-1)
    red = np.zeros((40, 50, 3), np.uint8)
    red[truth() > 0, 0] = 255
    masks = {"Kvasir-SEG": grey, "BKAI": red, "CVC-ClinicDB": 0 * red, "ETIS-LaribPolypDB": grey}
    for domain, mask in masks.items():
        for part, name in (("test", "a"), ("train", "b")):
            suffix = ".tif" if domain == "CVC-ClinicDB" else ".png"
            image, file = f"{domain}/i/{name}{suffix}", f"{domain}/m/{name}{suffix}"
            write(root, image, eye(ord(name)))
            write(root, file, mask)
            (root / f"{domain}_{part}.csv").write_text(f"image,mask\n{image},{file}\n")
    return root
