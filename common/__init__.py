"""Building blocks shared by the bundles of Method Zoo.

Importing this package has one side effect: in a checkout it appends every ``bundles/<name>/``
folder to ``sys.path``, so that names such as ``cotr.network.CoTr`` resolve from the repository
root without any setup.  In an unpacked bundle there is no ``bundles`` folder and nothing happens.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

__version__ = "0.1.0"

__all__ = ["bundle_root", "__version__"]


def bundle_root(package: ModuleType) -> str:
    """The folder of the bundle that a Python package belongs to (``bundles/cotr`` for ``cotr``)."""
    return str(Path(package.__file__).absolute().parents[1])


def _append_checkout_bundles() -> None:
    for bundle in sorted((Path(__file__).resolve().parents[1] / "bundles").glob("*")):
        folder = str(bundle)
        if (bundle / bundle.name / "__init__.py").is_file() and folder not in sys.path:
            sys.path.append(folder)


_append_checkout_bundles()
