"""A model card's Markdown as HTML: headings, paragraphs, lists, tables, code, links, pictures.

Whatever is not Markdown is shown as the text it is, HTML included.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

__all__ = ["card_to_html"]

_ITEM = re.compile(r"\s{0,3}(?:[-*]|\d+\.)\s+(.*)")
_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_RULE = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")

#: Path of a picture in the card -> where the page finds it, or None to leave it out.
Pictures = Callable[[str], str | None]


def card_to_html(markdown: str, pictures: Pictures) -> str:
    """HTML of a card; its title becomes an ``h2``."""
    return "\n".join(_html_of(kind, lines, pictures) for kind, lines in _blocks(markdown.splitlines()))


def _blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Runs of lines that belong together, with their kind."""
    block: list[str] = []
    kind = ""
    for line in [*lines, ""]:
        found = _kind(line, kind)
        if (found != kind or found == "heading") and block:
            yield kind, block
            block = []
        kind = found
        if found:
            block.append(line)


def _kind(line: str, before: str) -> str:
    if before == "fence":
        return "fence end" if line.startswith("```") else "fence"
    if line.startswith("```"):
        return "fence"
    if line.startswith("    ") and before in ("", "code", "fence end"):
        return "code"
    if not line.strip():
        return "code" if before == "code" else ""
    if _HEADING.match(line):
        return "heading"
    if line.lstrip().startswith("|"):
        return "table"
    return "list" if _ITEM.match(line) or before == "list" else "paragraph"


def _html_of(kind: str, lines: list[str], pictures: Pictures) -> str:
    if kind == "heading":
        marks, text = _HEADING.match(lines[0]).groups()
        level = min(len(marks) + 1, 6)
        return f"<h{level}>{_inline(text, pictures)}</h{level}>"
    if kind == "code":
        return _code(line[4:] for line in lines)
    if kind == "fence":
        return _code(iter(lines[1:]))
    if kind == "fence end":
        return ""
    if kind == "table":
        return _table(lines, pictures)
    if kind == "list":
        return _list(lines, pictures)
    return f"<p>{_inline(' '.join(lines), pictures)}</p>"


def _code(lines: Iterator[str]) -> str:
    return f"<pre><code>{html.escape(chr(10).join(lines).rstrip())}</code></pre>"


def _list(lines: list[str], pictures: Pictures) -> str:
    items: list[str] = []
    for line in lines:
        found = _ITEM.match(line)
        if found:
            items.append(found.group(1))
        else:
            items[-1] += " " + line.strip()
    tag = "ol" if re.match(r"\s*\d", lines[0]) else "ul"
    return f"<{tag}>{''.join(f'<li>{_inline(item, pictures)}</li>' for item in items)}</{tag}>"


def _table(lines: list[str], pictures: Pictures) -> str:
    rows = [
        re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
        for line in lines
        if not _RULE.fullmatch(line)
    ]
    cells = [[_inline(cell.strip(), pictures) for cell in row] for row in rows]
    head = "".join(f'<th scope="col">{cell}</th>' for cell in cells[0])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells[1:])
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _inline(text: str, pictures: Pictures) -> str:
    """Code spans are put aside while pictures, links and emphasis become tags."""
    spans: list[str] = []

    def aside(found: re.Match[str]) -> str:
        spans.append(f"<code>{html.escape(found.group(1))}</code>")
        return f"\0{len(spans) - 1}\0"

    marked = _marked(html.escape(re.sub(r"`([^`]+)`", aside, text.replace("\0", ""))), pictures)
    return re.sub(r"\0(\d+)\0", lambda found: spans[int(found.group(1))], marked)


def _marked(text: str, pictures: Pictures) -> str:
    def picture(found: re.Match[str]) -> str:
        place = pictures(html.unescape(found.group(2)))
        return f'<img src="{html.escape(place)}" alt="{found.group(1)}" loading="lazy">' if place else ""

    def link(found: re.Match[str]) -> str:
        shown, target = found.groups()
        return f'<a href="{target}">{shown}</a>' if re.match("https?://", target) else shown

    text = re.sub(r"!\[([^\]]*)\]\(([^)\s]+)\)", picture, text)
    text = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", link, text)
    text = re.sub(r"\*\*(\S(?:.*?\S)?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"(?<![\w*])\*(\S(?:.*?\S)?)\*(?![\w*])", r"<em>\1</em>", text)
