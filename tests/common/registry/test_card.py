"""Markdown as HTML: what cards use, and what must not become markup."""

from __future__ import annotations

import re

import pytest

from common.registry.card import Places, card_to_html

PLACES = Places(
    picture={"p.png": "there/p.png"}.get,
    link=lambda target: target if target.startswith(("https://", "#")) else None,
    heading=lambda name: f"toy/{name}",
)
CASES = {
    "heading": ("# A `b`", '<h2 id="toy/a-b">A <code>b</code></h2>'),
    "headings in a row": ("# A\n## B", '<h2 id="toy/a">A</h2><h3 id="toy/b">B</h3>'),
    "headings named as on GitHub": (
        "# A_b: c, (d-e)!\n# F\n# F",
        '<h2 id="toy/a_b-c-d-e">A_b: c, (d-e)!</h2><h2 id="toy/f">F</h2><h2 id="toy/f-1">F</h2>',
    ),
    "paragraph": ("one\ntwo\n\nthree", "<p>one two</p><p>three</p>"),
    "emphasis": ("*a b* **c** 2 * 3", "<p><em>a b</em> <strong>c</strong> 2 * 3</p>"),
    "code block": (
        "a:\n\n    x < 1\n\n      y\n\nb",
        "<p>a:</p><pre><code>x &lt; 1   y </code></pre><p>b</p>",
    ),
    "fence": ("```\n# no heading\n```\nb", "<pre><code># no heading </code></pre><p>b</p>"),
    "code span keeps its marks": ("`**a** [b](c)`", "<p><code>**a** [b](c)</code></p>"),
    "list": ("- a\n  b\n- *c*\n\nd", "<ul><li>a b</li><li><em>c</em></li></ul><p>d</p>"),
    "nested list": ("- a\n  - b", "<ul><li>a <ul><li>b</li></ul></li></ul>"),
    "numbered": ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
    "link": ("[`a`](https://e.org/x_y_z)", '<p><a href="https://e.org/x_y_z"><code>a</code></a></p>'),
    "address": ("<https://e.org/>", '<p><a href="https://e.org/">https://e.org/</a></p>'),
    "link to nowhere": ("[a *b*](LICENSE)", "<p>a <em>b</em></p>"),
    "picture": ("![A](p.png)", '<p><img src="there/p.png" alt="A" loading="lazy"></p>'),
    "absent picture": ("![A](q.png)", "<p></p>"),
    "table": (
        "| a | b |\n|---|:-:|\n| 1 | `x \\| y` |",
        '<div class="wide"><table><thead><tr><th scope="col">a</th><th scope="col" class="center">b</th></tr>'
        '</thead><tbody><tr><td>1</td><td class="center"><code>x | y</code></td></tr></tbody></table></div>',
    ),
}
HOSTILE = {
    "tag": ("<b onclick='x'>&", "<p>&lt;b onclick='x'&gt;&amp;</p>"),
    "tag on lines of its own": ("<script>\nx\n</script>", "<p>&lt;script&gt; x &lt;/script&gt;</p>"),
    "picture of a link": ("![[a](p.png)](https://onload=alert(1)//)", "<p></p>"),
    "link of a picture": (
        "[![a](p.png)](javascript:alert(1))",
        '<p><img src="there/p.png" alt="a" loading="lazy"></p>',
    ),
    "quotes in a description": (
        '![a" onload="x](p.png)',
        '<p><img src="there/p.png" alt="a&quot; onload=&quot;x" loading="lazy"></p>',
    ),
    "quotes in an address": (
        '[a](https://e.org/"onclick="x)',
        '<p><a href="https://e.org/%22onclick=%22x">a</a></p>',
    ),
    "script link": ("[a](javascript:alert(1))", "<p>a</p>"),
    "script address": ("<javascript:alert(1)>", "<p>javascript:alert(1)</p>"),
    "data": ("![a](data:image/svg+xml,x) [b](data:text/html,x)", "<p> b</p>"),
    "language of a fence": (
        '```"x\na\n```',
        '<pre><code class="language-&quot;x">a </code></pre>',
    ),
}


def squeezed(html):
    """Single spaces for runs of white space, and none around tags of blocks."""
    block = r"</?(?:h\d|p|[uo]l|li|table|thead|tbody|tr|t[hd]|div|pre)\b[^>]*>"
    return re.sub(rf" ?({block}) ?", r"\1", re.sub(r"\s+", " ", html))


@pytest.mark.parametrize(("markdown", "html"), [*CASES.values(), *HOSTILE.values()], ids=[*CASES, *HOSTILE])
def test_markdown(markdown, html):
    assert squeezed(card_to_html(markdown, PLACES)) == squeezed(html)
