"""Put a new bundle into a checkout, whole or not at all."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from common.files import atomic_folder, atomic_path
from common.new.files import files_of
from common.new.like import Like
from common.new.names import check_name
from common.recipes.checkout import ROOT, configs_as_text, lists_as_text, write

__all__ = ["new_bundle"]


def new_bundle(name: str, like: str, root: Path = ROOT) -> list[Path]:
    """Write the bundle, its tests and its benchmark, and whatever is written from recipes.

    Args:
        name: name of the new bundle.
        like: name of a bundle on the same data and trained in the same way.
        root: the checkout.

    Returns:
        The files written, the index and the README's table among them.

    Raises:
        InputError: the name cannot be used or is taken, or there is no bundle ``like``; nothing is written.
    """
    other = Like(like, root)
    check_name(name, other.kind, root)
    files = files_of(name, other)
    folders = [Path("bundles", name), Path("tests", "bundles", name)]
    loose = [file for file in files if not any(folder in file.parents for folder in folders)]
    try:
        with ExitStack() as stack:
            places = {folder: stack.enter_context(atomic_folder(root / folder)) for folder in folders}
            for file in loose:
                stack.enter_context(atomic_path(root / file)).write_text(files[file], encoding="utf-8")
            for folder, place in places.items():
                for file in [file for file in files if folder in file.parents]:
                    target = place / file.relative_to(folder)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(files[file], encoding="utf-8")
            (places[folders[0]] / "common").symlink_to(Path("..", "..", "common"))
        configs = configs_as_text(name, root)
        write(configs)
        lists = write(lists_as_text(configs, root))
    except BaseException:
        for path in (*folders, *loose):
            _remove(root / path)
        write(lists_as_text({}, root))
        raise
    return [*(root / file for file in files), *configs, *lists]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
