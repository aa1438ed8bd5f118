"""Untrusted Markdown as HTML: CommonMark with tables, for model cards and descriptions of methods.

Raw HTML in a page is shown as the text it is.  Pictures and links go where the caller says, or nowhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["Places", "card_to_html"]


@dataclass(frozen=True)
class Places:
    """How the targets of a page map to addresses on the web page that shows it.

    Args:
        picture: path of a picture -> its address, or None to leave it out.
        link: target of a link -> its address, or None to show the text alone.
        heading: name of a heading as GitHub makes it ("axis-order") -> ``id`` of the element.
    """

    picture: Callable[[str], str | None]
    link: Callable[[str], str | None]
    heading: Callable[[str], str]


def card_to_html(markdown: str, places: Places) -> str:
    """HTML of a page; its title becomes an ``h2``."""
    parser = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table")
    # Where pictures and links go is decided below, whatever they begin with.
    parser.validateLink = lambda _: True
    parser.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = parser.parse(markdown)
    for token, name in zip(_headings(tokens), _names(tokens), strict=True):
        token.attrSet("id", places.heading(name))
    for token in tokens:
        _fit_to_page(token)
        if token.children is not None:
            token.children = list(_placed(token.children, places))
    return parser.renderer.render(tokens, parser.options, {})


def _headings(tokens: list[Token]) -> list[Token]:
    return [token for token in tokens if token.type == "heading_open"]


def _names(tokens: list[Token]) -> Iterator[str]:
    """The anchors of headings as GitHub makes them: lower case, hyphens for spaces, repeats numbered."""
    seen: Counter[str] = Counter()
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            text = "".join(part.content for part in inline.children or [])
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            yield f"{name}-{seen[name]}" if seen[name] else name
            seen[name] += 1


def _fit_to_page(token: Token) -> None:
    if token.type in ("heading_open", "heading_close"):
        token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    elif token.type == "th_open":
        token.attrSet("scope", "col")
    align = str(token.attrs.pop("style", "")).removeprefix("text-align:")  # the page allows no inline styles
    if align:
        token.attrSet("class", align)


def _placed(tokens: list[Token], places: Places) -> Iterator[Token]:
    """The parts of a paragraph, with pictures and links mapped to their addresses or dropped."""
    linked: list[bool] = []
    for token in tokens:
        if token.type == "image":
            address = places.picture(str(token.attrs["src"]))
            if address is None:
                continue
            token.attrSet("src", address)
            token.attrSet("loading", "lazy")
        elif token.type == "link_open":
            address = places.link(str(token.attrs["href"]))
            linked.append(address is not None)
            if address is None:
                continue
            token.attrSet("href", address)
        elif token.type == "link_close" and not linked.pop():
            continue
        yield token
