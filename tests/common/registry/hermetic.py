"""Put on PYTHONPATH as sitecustomize.py: hide packages that a bundle does not name, record imports.

Reads ``refused.json`` (top-level modules) beside itself; writes ``origins.json`` there when the process
ends: module -> file, of ``common`` and the bundle's package.
"""

import atexit
import json
import sys
from importlib.machinery import PathFinder
from pathlib import Path

_HERE = Path(__file__).parent
_SETTINGS = json.loads((_HERE / "refused.json").read_text())


class _WithoutRefused(PathFinder):
    """The usual finder; a package that is not named counts as not installed, even for ``find_spec``."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname.partition(".")[0] in _SETTINGS["modules"]:
            return None
        return super().find_spec(fullname, path, target)


@atexit.register
def _report():
    names = [name for name in ("common", _SETTINGS["bundle"]) if name in sys.modules]
    origins = {name: sys.modules[name].__file__ for name in names}
    (_HERE / "origins.json").write_text(json.dumps(origins))


sys.meta_path[:] = [_WithoutRefused if finder is PathFinder else finder for finder in sys.meta_path]
