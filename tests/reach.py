"""Which modules of ``common`` a bundle reaches: imports and dotted names in its files, all the way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path


class Reach:
    """The modules of ``common`` in a checkout, and what each imports.

    Args:
        root: of the checkout.
        shared: files of the tests that run on every bundle; every bundle reaches what they name.
    """

    def __init__(self, root: Path, shared: Iterable[Path] = ()) -> None:
        self.root, self.shared = root, tuple(shared)
        self.files = {_module_name(file, root): file for file in (root / "common").rglob("*.py")}

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """Module -> the modules of ``common`` that importing it imports."""
        return {name: self._named_in_python(file) - {name} for name, file in self.files.items()}

    @cached_property
    def lazy(self) -> dict[str, str]:
        """``package.name`` -> the module from which the package loads it on first use."""
        homes = {}
        for name, file in self.files.items():
            if file.name == "__init__.py":
                inside = _lazy_names(file)
                homes |= {f"{name}.{key}": f"{name}.{module}" for key, module in inside.items()}
        return homes

    def of_bundle(self, name: str) -> set[str]:
        """Modules that a bundle's package, configs and card reach."""
        folder = self.root / "bundles" / name
        start = set(self._of_shared)
        for file in (folder / name).rglob("*.py"):
            start |= self._named_in_python(file)
        for file in [*folder.glob("configs/*.json"), *folder.glob("docs/README.md")]:
            start |= self._named_in_text(file)
        return self._closed(start)

    def modules_of(self, path: str) -> set[str]:
        """The modules that a file of ``common`` is part of; other files belong to their package."""
        file = Path(path)
        if file.suffix == ".py":
            return {_module_name(self.root / file, self.root)}
        package = ".".join(file.parent.parts)
        return {name for name in self.files if name == package or name.rpartition(".")[0] == package}

    @cached_property
    def _of_shared(self) -> set[str]:
        return {name for file in self.shared for name in self._named_in_python(file)}

    def _closed(self, start: Iterable[str]) -> set[str]:
        seen: set[str] = set()
        todo = list(start)
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += self.imports.get(name, ())
        return seen

    def _named_in_python(self, file: Path) -> set[str]:
        names: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names |= {node.value} if _DOTTED.fullmatch(node.value) else set()  # no prose
        return self._known(names)

    def _named_in_text(self, file: Path) -> set[str]:
        return self._known(_DOTTED.findall(file.read_text()))

    def _known(self, names: Iterable[str]) -> set[str]:
        """The module that each dotted name lies in, and the packages above it, which run on import."""
        found = set()
        for name in names:
            parts = self.lazy.get(name, name).split(".")
            above = [".".join(parts[:i]) for i in range(1, len(parts) + 1)]
            found |= {module for module in above if module in self.files}
        return found | {f"{name}.__main__" for name in found if f"{name}.__main__" in self.files}


_DOTTED = re.compile(r"\bcommon(?:\.\w+)+")


def _module_name(file: Path, root: Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _lazy_names(file: Path) -> Mapping[str, str]:
    """The dictionary ``_HOME`` of a package whose names load on first use."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "_HOME" for t in node.targets):
            return ast.literal_eval(node.value)
    return {}
