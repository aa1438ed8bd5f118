"""The catalogue: one static page on which a person finds a bundle, reads its card and copies its command."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import shlex
import urllib.parse
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.registry.archive import copy_member, open_zip
from common.registry.entries import key_of, newest, split_key
from common.registry.pages import pages_to_html, read_pages

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
        folder: to write to.
        zips: packed bundles, already verified; the page is to lie beside them.
        entries: of the index, by key.
    """
    versions: dict[str, list[str]] = defaultdict(list)
    for path in zips:
        name, version = split_key(path.stem)
        versions[name].append(version)
    latest = {key_of(name, newest(found)) for name, found in versions.items()}
    shown = [path for path in zips if path.stem in latest]
    pages, pictures = {}, {}
    for path in shown:
        entry = entries[path.stem]
        with open_zip(path) as archive:
            pages[entry["name"]] = read_pages(archive, entry["name"])
            pictures[entry["name"]] = _write_pictures(folder, archive, entry)
    tiles, cards = [], []
    for path in shown:
        name = entries[path.stem]["name"]
        text = _text(path, entries[path.stem], versions[name])
        tiles.append(_tile(entries[path.stem], text, pictures[name]))
        cards.append(_CARD.format(**text, pages=pages_to_html(name, pictures[name], pages)))
    values = {
        "filters": "\n".join(_filter(key, [entries[path.stem] for path in shown]) for key in _FILTERS),
        "tiles": "\n".join(tiles),
        "cards": "\n".join(cards),
        "count": str(len(tiles)),
    }
    (folder / "index.html").write_text(_page(values), encoding="utf-8")


def _page(values: Mapping[str, str]) -> str:
    """The template filled in; its own script and style are the only ones that a browser accepts."""
    page = _TEMPLATE.read_text(encoding="utf-8")
    allowed = {
        f"{tag}-src": f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for tag, text in re.findall(r"<(script|style)>(.*?)</\1>", page, re.DOTALL)
    }
    policy = {
        "default-src": "'none'",
        **allowed,
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    for key, value in {**values, "policy": "; ".join(f"{k} {v}" for k, v in policy.items())}.items():
        page = page.replace(f"<!-- {key} -->", value)
    return page


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


def _text(path: Path, entry: Entry, versions: Sequence[str]) -> dict[str, str]:
    """What the templates of tile and card show, as HTML."""
    name = entry["name"]
    older = sorted(set(versions) - {entry["version"]})
    return {
        **{key: html.escape(str(value)) for key, value in entry.items()},
        "megabytes": f"{entry['size'] / 1e6:.1f}",
        "older": html.escape(f"; also {', '.join(older)}" if older else ""),
        "zip": html.escape(path.name),
        "download": _command(
            f"python -m monai.bundle download --name {name} "
            f"--url {shlex.quote(entry['source'])} --bundle_dir ."
        ),
        "get": _command(
            f"python -m common.registry get {name} "
            f"--index {shlex.quote(entry['source'].removesuffix(path.name))} "
            f"--version {entry['version']} --bundle_dir ."
        ),
        "authors": _authors_weights(name, entry["authors_weights"]),
    }


def _authors_weights(name: str, files: Sequence[Mapping[str, str]]) -> str:
    """What the authors of a method published, with their links; empty where that is nothing."""
    if not files:
        return ""
    items = "".join(
        f"<li>{_link(file['what'], file['link'])}. Terms: {html.escape(file['terms'])}</li>" for file in files
    )
    listing = _command(f"python -m common.checkpoints sources {name}")
    return f"<p>Weights that the authors published, and how to import them:</p>\n{listing}\n<ul>{items}</ul>"


def _link(text: str, target: str) -> str:
    """A link to the web; only the text where the target is anything else."""
    shown = html.escape(text)
    is_web = target.startswith(("https://", "http://"))
    return f'<a href="{html.escape(target)}" rel="noopener noreferrer">{shown}</a>' if is_web else shown


def _tile(entry: Entry, text: Mapping[str, str], pictures: Mapping[str, str]) -> str:
    chips = [*(value for key in ("modality", "dimensions", "paradigm") for value in _values(entry, key))]
    chips.append("with weights" if entry["weights"] else "no weights: train it")
    chips += ["authors' weights"] if entry["authors_weights"] else []
    preview = pictures.get("preview.png") or next(iter(pictures.values()), None)
    return _TILE.format(
        **text,
        data="".join(f' data-{key}="{html.escape("|".join(_values(entry, key)))}"' for key in _FILTERS),
        words=html.escape(" ".join(str(entry[key]) for key in _SEARCHED).casefold()),
        preview=_preview(preview, entry),
        chips="".join(f"<li>{html.escape(chip)}</li>" for chip in chips),
    )


def _command(line: str) -> str:
    shown = html.escape(line)
    button = f'<button type="button" class="copy" aria-label="Copy the command {shown}">Copy</button>'
    whole_options = re.sub(r"--\w+", r"<span>\g<0></span>", shown)  # browsers break lines behind hyphens
    return f'<div class="command"><code tabindex="0">{whole_options}</code>{button}</div>'


def _write_pictures(folder: Path, archive: zipfile.ZipFile, entry: Entry) -> dict[str, str]:
    """The pictures of a bundle's pages, beside the catalogue: path below docs/ -> path from the catalogue.

    Their folder is named after the zip's content, so that those of an earlier catalogue stay whole until
    it is replaced.
    """
    docs = f"{entry['name']}/docs/"
    content = f"{_PICTURES}/{entry['name']}_v{entry['version']}_{entry['sha256'][:8]}"
    found = {}
    for member in archive.namelist():
        if member.startswith(docs) and member.lower().endswith(_SUFFIXES):
            place = member.removeprefix(docs)
            found[place] = f"{content}/{place}"
            copy_member(archive, member, folder / found[place])
    return found


def _preview(picture: str | None, entry: Entry) -> str:
    if picture is None:
        return f'<div class="picture none" aria-hidden="true">{_values(entry, "dimensions")[0]}</div>'
    alt = html.escape(f"Preview of {entry['name']}")
    return (
        f'<img class="picture" src="{html.escape(urllib.parse.quote(picture))}" alt="{alt}" loading="lazy">'
    )


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
<div class="actions"><button type="button" class="more" aria-haspopup="dialog" data-opens="{name}">\
Model card</button><a href="{zip}" download>Zip, {megabytes} MB</a></div>
</div>
</article>"""

# Outside of the tile, so that it opens even while a search hides the tile.
_CARD = """<dialog id="card-{name}" aria-label="Model card of {name}">
<form method="dialog"><button aria-label="Close the model card">Close</button></form>
<section class="get"><h2>Download</h2>
<p>With MONAI alone:</p>
{download}
<p>Checked against the index, from a checkout of Method Zoo:</p>
{get}
{authors}
<p class="digest">Version {version}{older}. SHA-256 <code>{sha256}</code></p></section>
{pages}
</dialog>"""
