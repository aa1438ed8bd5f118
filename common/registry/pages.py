"""The pages of a bundle in the catalogue, model card and method, and the links between pages."""

from __future__ import annotations

import posixpath
import urllib.parse
import zipfile
from collections.abc import Mapping

from common.registry.archive import read_text
from common.registry.card import Places, card_to_html

__all__ = ["pages_to_html", "read_pages"]

#: Name of a page in addresses and ids -> its file in ``docs/``, its title.
_PAGES = {"card": ("README.md", "Model card"), "method": ("method.md", "Method")}
_NAMES = {file: page for page, (file, _) in _PAGES.items()}

#: Page -> its Markdown.
Pages = Mapping[str, str]


def read_pages(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    """The pages that a packed bundle has."""
    held = set(archive.namelist())
    files = {page: f"{name}/docs/{file}" for page, (file, _) in _PAGES.items()}
    return {page: read_text(archive, file) for page, file in files.items() if file in held}


def pages_to_html(name: str, pictures: Mapping[str, str], bundles: Mapping[str, Pages]) -> str:
    """The pages of a bundle as sections, the first one visible, with tabs if there are several.

    Args:
        name: of the bundle.
        pictures: path below ``docs/`` -> address.
        bundles: name -> pages, of all bundles of the catalogue: links between their pages stay in it.
    """
    pages = bundles[name]
    several = len(pages) > 1
    parts = [_tabs(name, pages)] if several else []
    for page, markdown in pages.items():
        role = f' role="tabpanel" aria-labelledby="tab/{name}/{page}"' if several else ""
        hidden = "" if page == next(iter(pages)) else " hidden"
        content = card_to_html(markdown, _places(name, page, pictures, bundles))
        parts.append(
            f'<section class="card" id="{name}/{page}" data-page="{page}"{role}{hidden}>{content}</section>'
        )
    return "\n".join(parts)


_NOT_SELECTED = 'aria-selected="false" tabindex="-1"'  # reached by the arrow keys


def _tabs(name: str, pages: Pages) -> str:
    first = next(iter(pages))
    state = {page: 'aria-selected="true"' if page == first else _NOT_SELECTED for page in pages}
    buttons = "".join(
        f'<button type="button" role="tab" id="tab/{name}/{page}" data-page="{page}" '
        f'aria-controls="{name}/{page}" {state[page]}>{_PAGES[page][1]}</button>'
        for page in pages
    )
    return f'<div class="tabs" role="tablist" aria-label="Pages of {name}">{buttons}</div>'


def _places(name: str, page: str, pictures: Mapping[str, str], bundles: Mapping[str, Pages]) -> Places:
    def picture(target: str) -> str | None:
        address = pictures.get(posixpath.normpath(urllib.parse.unquote(target)))
        return None if address is None else urllib.parse.quote(address)

    def link(target: str) -> str | None:
        if target.lower().startswith(("http://", "https://")):
            return target
        path, _, heading = target.partition("#")
        # The layout of a checkout, bundles/NAME/docs/, in which the links between bundles are written.
        file = posixpath.normpath(f"{name}/docs/{path}") if path else f"{name}/docs/{_PAGES[page][0]}"
        bundle, _, rest = file.partition("/docs/")
        found = _NAMES.get(rest)
        if found is None or found not in bundles.get(bundle, {}):
            return None
        address = {"card": bundle, "page": found} | ({"at": heading} if heading else {})
        return f"#{urllib.parse.urlencode(address)}"

    return Places(picture, link, lambda heading: f"{name}/{page}/{heading}")
