"""The catalogue: one static page on which a person finds a bundle, reads its card and copies its command."""

from __future__ import annotations

import html
import posixpath
import re
import shlex
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files import atomic_path, write_text
from common.registry.archive import open_zip
from common.registry.card import card_to_html
from common.registry.entries import key_of, newest, split_key

__all__ = ["write_catalogue"]

_TEMPLATE = Path(__file__).with_name("catalogue.html")
_PICTURES = "pictures"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

#: Filter -> its label; the values are those that occur.
_FILTERS = {"task": "Task", "modality": "Modality", "paradigm": "Paradigm", "dimensions": "Dimensions"}

Entry = Mapping[str, Any]


def write_catalogue(folder: Path, zips: Sequence[Path], entries: Mapping[str, Entry]) -> None:
    """Write ``index.html`` and the ``pictures/`` that it shows.

    Args:
        folder: of the zips; the page lies beside them.
        zips: packed bundles, already verified.
        entries: of the index, by key.
    """
    shutil.rmtree(folder / _PICTURES, ignore_errors=True)
    versions: dict[str, list[str]] = defaultdict(list)
    for path in zips:
        name, version = split_key(path.stem)
        versions[name].append(version)
    latest = {key_of(name, newest(found)) for name, found in versions.items()}
    shown = {path.stem: path for path in zips if path.stem in latest}
    tiles = [_tile(folder, path, entries[key], versions[entries[key]["name"]]) for key, path in shown.items()]
    page = _TEMPLATE.read_text(encoding="utf-8")
    values = {
        "filters": "\n".join(_filter(key, [entries[one] for one in shown]) for key in _FILTERS),
        "tiles": "\n".join(tiles),
        "count": str(len(tiles)),
    }
    for key, value in values.items():
        page = page.replace(f"<!-- {key} -->", value)
    write_text(folder / "index.html", page)


def _values(entry: Entry, key: str) -> list[str]:
    """What an entry has under a filter; a bundle for "T1, T2" is found under both."""
    if key == "dimensions":
        return [f"{entry['dimensions']}D"]
    value = entry["task_type"] if key == "task" else entry[key]
    return [part.strip() for part in str(value).split(",")]


def _filter(key: str, entries: Sequence[Entry]) -> str:
    values = sorted({value for entry in entries for value in _values(entry, key)}, key=str.casefold)
    options = "".join(f"<option>{html.escape(value)}</option>" for value in values)
    return (
        f'<label>{_FILTERS[key]}<select name="{key}"><option value="">all</option>{options}</select></label>'
    )


def _tile(folder: Path, path: Path, entry: Entry, versions: Sequence[str]) -> str:
    name = entry["name"]
    with open_zip(path) as archive:
        pictures = _write_pictures(folder, archive, entry)
        card = archive.read(f"{name}/docs/README.md").decode()
    text = {key: html.escape(str(value)) for key, value in entry.items()}
    data = "".join(f' data-{key}="{html.escape("|".join(_values(entry, key)))}"' for key in _FILTERS)
    chips = [*(value for key in ("modality", "dimensions", "paradigm") for value in _values(entry, key))]
    chips.append("with weights" if entry["weights"] else "no weights: train it")
    older = sorted(set(versions) - {entry["version"]})
    preview = pictures.get("preview.png") or next(iter(pictures.values()), None)
    return _TILE.format(
        **text,
        data=data,
        words=html.escape(" ".join(str(entry[key]) for key in _SEARCHED).casefold()),
        preview=_preview(preview, entry),
        chips="".join(f"<li>{html.escape(chip)}</li>" for chip in chips),
        megabytes=f"{entry['size'] / 1e6:.1f}",
        older=html.escape(f"; also {', '.join(older)}" if older else ""),
        zip=html.escape(path.name),
        download=_command(
            f"python -m monai.bundle download --name {name} "
            f"--url {shlex.quote(entry['source'])} --bundle_dir ."
        ),
        get=_command(
            f"python -m common.registry get {name} "
            f"--index {shlex.quote(entry['source'].removesuffix(path.name))} "
            f"--version {entry['version']} --bundle_dir ."
        ),
        card=card_to_html(card, lambda place: pictures.get(posixpath.normpath(place))),
    )


def _command(line: str) -> str:
    shown = html.escape(line)
    button = f'<button type="button" class="copy" aria-label="Copy the command {shown}">Copy</button>'
    whole_options = re.sub(r"--\w+", r"<span>\g<0></span>", shown)  # browsers break lines behind hyphens
    return f'<div class="command"><code tabindex="0">{whole_options}</code>{button}</div>'


def _write_pictures(folder: Path, archive: zipfile.ZipFile, entry: Entry) -> dict[str, str]:
    """The card's pictures, copied beside the page: path below docs/ -> path from the page."""
    docs = f"{entry['name']}/docs/"
    found = {}
    for member in archive.namelist():
        if member.startswith(docs) and member.lower().endswith(_SUFFIXES):
            place = member.removeprefix(docs)
            found[place] = f"{_PICTURES}/{entry['name']}/{place}"
            with atomic_path(folder / found[place]) as temporary:
                temporary.write_bytes(archive.read(member))
    return found


def _preview(picture: str | None, entry: Entry) -> str:
    if picture is None:
        return f'<div class="picture none" aria-hidden="true">{_values(entry, "dimensions")[0]}</div>'
    alt = html.escape(f"Preview of {entry['name']}")
    return f'<img class="picture" src="{html.escape(picture)}" alt="{alt}" loading="lazy">'


_SEARCHED = ("name", "title", "task", "description", "modality", "paradigm", "reference")

_TILE = """<article id="{name}" data-words="{words}"{data}>
{preview}
<div class="body">
<h2>{name} <small>{version}</small></h2>
<p class="title">{title}</p>
<p class="task">{task}</p>
<ul class="chips" aria-label="Properties">{chips}</ul>
<p class="reference">{reference}</p>
{download}
<div class="actions"><button type="button" class="more" aria-haspopup="dialog" data-opens="card-{name}">\
Model card</button><a href="{zip}" download>Zip, {megabytes} MB</a></div>
</div>
<dialog id="card-{name}" aria-label="Model card of {name}">
<form method="dialog"><button aria-label="Close the model card">Close</button></form>
<section class="get"><h2>Download</h2>
<p>With MONAI alone:</p>
{download}
<p>Checked against the index, from a checkout of Method Zoo:</p>
{get}
<p class="digest">Version {version}{older}. SHA-256 <code>{sha256}</code></p></section>
<div class="card">{card}</div>
</dialog>
</article>"""
