"""Tiny raw downloads of the 2D benchmarks as distributed: CSV lists, pictures, masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CODINGS = {"optic": np.array([255, 128, 0], np.uint8), "riga": np.array([0, 255, 128], np.uint8)}


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
    add("MESSIDOR_Base1_unlabelled.csv", "Base1", [7], "riga", masks=False)
    return root


def raw_polyp(root: Path) -> Path:
    """Two frames each: masks with JPEG's values, red masks, and empty ones."""
    root.mkdir(parents=True)
    grey = np.repeat(np.where(truth() > 0, 250, 6).astype(np.uint8)[..., None], 3, axis=-1)
    red = np.zeros((40, 50, 3), np.uint8)
    red[truth() > 0, 0] = 255
    for domain, mask in (("Kvasir-SEG", grey), ("BKAI-IGH-NEOPolyp", red), ("CVC-ClinicDB", 0 * red)):
        lines = ["image,mask"]
        for name in "ab":
            write(root, f"{domain}/i/{name}.png", eye(ord(name)))
            write(root, f"{domain}/m/{name}.png", mask)
            lines.append(f"{domain}/i/{name}.png,{domain}/m/{name}.png")
        (root / f"{domain}.csv").write_text("\n".join(lines) + "\n")
    return root
