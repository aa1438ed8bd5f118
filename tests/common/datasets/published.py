"""Data sets of the published size, as lists without files, and what a bundle's config makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from common.bundles import bundle_folder


def listed(folder: Path, counts: Mapping[str, int]) -> Path:
    """A folder whose dataset.json names ``counts`` pictures of each domain, the first domain for training."""
    cases = {
        domain: [
            {"image": f"{domain}_{i}.png", "label": f"{domain}_{i}_l.png", "domain": domain} for i in range(n)
        ]
        for domain, n in counts.items()
    }
    first, *others = cases.values()
    folder.mkdir(exist_ok=True)
    lists = {"training": first, "test": [case for of_domain in others for case in of_domain]}
    (folder / "dataset.json").write_text(json.dumps({"domains": list(counts), **lists}))
    return folder


def lists_of(bundle: str, overlay: str, folder: Path, sources: list[str]) -> dict[str, Any]:
    """``datalist`` of train.json with an overlay."""
    parser = ConfigParser()
    parser.read_config(
        [str(bundle_folder(bundle) / "configs" / f"{kind}.json") for kind in ("train", overlay)]
    )
    parser.update({"dataset_dir": str(folder), "source_domains": sources})
    return parser.get_parsed_content("datalist")
