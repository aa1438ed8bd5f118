"""Which bundles run the full set of tests after a change; the others run only the always-run set.

The full set runs for a bundle whose own files differ from those of the last commit that passed everything
(``tests/last_full.txt``).  Bundles that a change reaches only through ``common`` are tested by
representatives, which together have every part, for every kind and number of dimensions, that those bundles
have. The cheapest come first, and only as many as the budget allows.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.reach import Reach

#: CPU seconds for representatives.
BUDGET = 30 * 60
#: Assumed for a full set whose seconds were never recorded.
ESTIMATE = 215.0
#: Files of the full set that use parts of ``common`` that bundles do not: packing, export.
SHARED = ("tests/contract/test_network.py", "tests/common/registry/test_unpacked.py")
#: A change of these reaches every bundle.
REACHES_ALL = (
    "tests/contract/",
    "tests/vectors/__init__.py",
    "tests/conftest.py",
    "tests/of_bundles.py",
    "tests/suite.py",
    "tests/test_documentation.py",
    "requirements",
    "pyproject.toml",
)


@dataclass(frozen=True)
class Selection:
    """Bundles that run the full set.

    Args:
        full: name -> why.
        left_out: name -> why it runs only the always-run set although the change reaches it.
        since: the commit from which changes are counted; "" if there is none.
        changed: the files that differ from it; None if that cannot be known.
    """

    full: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    since: str = ""
    changed: frozenset[str] | None = None

    def concerns(self, test: str) -> bool:
        """Whether a test of no bundle, or what it tests, has changed: the tests mirror the tree.

        Args:
            test: the test's file; ``tests/common/registry/test_pack.py`` is of ``common/registry``.
        """
        if self.changed is None:
            return True
        folder = test.rpartition("/")[0] + "/"
        return any(path.startswith((folder, folder.removeprefix("tests/"))) for path in self.changed)

    def lines(self) -> list[str]:
        """The selection in words."""
        since = f"since {self.since[:9]}" if self.since else "since no commit on record"
        if not self.full and not self.left_out:
            return [f"full set: of no bundle, nothing that a bundle reaches has changed {since}"]
        return [
            f"full set, by what has changed {since}:",
            *(f"  {name}: {why}" for name, why in sorted(self.full.items())),
            *(f"  left out: {name}, {why}" for name, why in sorted(self.left_out.items())),
        ]


def bundle_names(root: Path) -> list[str]:
    """Names of the bundles of a checkout, sorted."""
    return sorted(path.parents[1].name for path in root.glob("bundles/*/configs/metadata.json"))


def last_full(root: Path) -> str:
    """The commit on which the last full run passed; "" if there was none."""
    file = root / "tests" / "last_full.txt"
    return file.read_text().strip() if file.is_file() else ""


def changed_since(root: Path, commit: str) -> set[str] | None:
    """Files that differ from a commit's, new ones included; None if git does not know the commit."""
    if not commit or _git(root, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        return None
    differ = _git(root, "diff", "--name-only", "--no-renames", "-z", commit, "--") or ""
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z") or ""
    return {path for path in (differ + new).split("\0") if path}


def _git(root: Path, *words: str) -> str | None:
    """Git's output; None if it fails or is not installed."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def select(root: Path, seconds: Mapping[str, float], budget: float = BUDGET) -> Selection:
    """The bundles of a checkout that run the full set.

    Args:
        root: of the checkout.
        seconds: CPU seconds of the bundles' full sets, as recorded.
        budget: CPU seconds for representatives.
    """
    names, since = bundle_names(root), last_full(root)
    changed = changed_since(root, since)
    if changed is None:
        why = "git does not know the commit on record" if since else "no full run is on record"
        return Selection(dict.fromkeys(names, why), {}, since)
    own = {name for name in names if any(_is_own(root, name, path) for path in changed)}
    reached = _reached(root, names, changed)
    cost = {name: seconds.get(name, ESTIMATE) for name in names}
    chosen, left_out = _representatives(root, reached - own, reached & own, cost, budget)
    why = dict.fromkeys(own, "its own files")
    why |= dict.fromkeys(chosen, "stands for others, reached through common")
    return Selection(why, left_out, since, frozenset(changed))


def _is_own(root: Path, name: str, path: str) -> bool:
    """Whether a file is a bundle's own; configs that a recipe writes belong to its parts as well.

    The table of a recipe is read by a test that always runs, and by no other.
    """
    written = f"bundles/{name}/configs/"
    if path.startswith(written) and (root / "bundles" / name / "recipe.json").is_file():
        return False
    if path == f"tests/bundles/{name}/recipe.json":
        return False
    return path.startswith((f"bundles/{name}/", f"tests/bundles/{name}/"))


def _reached(root: Path, names: Iterable[str], changed: set[str]) -> set[str]:
    """Bundles reached by a changed file of ``common`` or of the contract, or by a regenerated config."""
    reach = Reach(root, [root / file for file in SHARED if (root / file).is_file()])
    modules = {m for path in changed if path.startswith("common/") for m in reach.modules_of(path)}
    if any(path.startswith(REACHES_ALL) for path in changed):
        return set(names)
    configs = {path.split("/")[1] for path in changed if path.startswith("bundles/") and "/configs/" in path}
    return {name for name in names if name in configs or reach.of_bundle(name) & modules}


def traits(root: Path, name: str) -> set[tuple[str, int, str]]:
    """What a bundle can represent: its paradigm and its recipe's parts, each with its kind and dimensions."""
    folder = root / "bundles" / name
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    dims = len(metadata["network_data_format"]["inputs"]["image"]["spatial_shape"])
    recipe = folder / "recipe.json"
    parts = json.loads(recipe.read_text())["on"] if recipe.is_file() else []
    return {(metadata["kind"], dims, word) for word in [metadata.get("paradigm", "supervised"), *parts]}


def _representatives(
    root: Path, candidates: set[str], running: set[str], cost: Mapping[str, float], budget: float
) -> tuple[set[str], dict[str, str]]:
    """The candidates, cheapest first, that each show something none before them has shown.

    Args:
        root: of the checkout.
        candidates: names of the bundles to choose from.
        running: bundles that the change also reaches and that run the full set anyway.
        cost: CPU seconds of each.
        budget: for all that are chosen.

    Returns:
        The chosen ones, and for each of the others why it is not among them.
    """
    shown = {trait for name in running for trait in traits(root, name)}
    chosen: set[str] = set()
    left_out: dict[str, str] = {}
    for name in sorted(candidates, key=lambda one: (cost[one], one)):
        if traits(root, name) <= shown:
            left_out[name] = "others stand for it"
        elif cost[name] > budget:
            left_out[name] = "beyond the budget"
        else:
            chosen.add(name)
            budget -= cost[name]
            shown |= traits(root, name)
    return chosen, left_out


def samples(root: Path, full: Iterable[str], seconds: Mapping[str, float]) -> set[str]:
    """Of the bundles that run the full set, the cheapest of each kind and number of dimensions."""
    cheapest: dict[tuple[str, int], str] = {}
    for name in sorted(full, key=lambda one: (seconds.get(one, ESTIMATE), one)):
        for place in {(kind, dims) for kind, dims, _ in traits(root, name)}:
            cheapest.setdefault(place, name)
    return set(cheapest.values())
