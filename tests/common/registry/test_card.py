"""The Markdown that cards use, as HTML."""

from __future__ import annotations

import pytest

from common.registry.card import card_to_html

CASES = {
    "heading": ("# A `b`", "<h2>A <code>b</code></h2>"),
    "headings in a row": ("# A\n## B", "<h2>A</h2>\n<h3>B</h3>"),
    "paragraph": ("one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>"),
    "emphasis": ("*a b* **c** 2*3*4", "<p><em>a b</em> <strong>c</strong> 2*3*4</p>"),
    "html is text": ("<b onclick='x'>&", "<p>&lt;b onclick=&#x27;x&#x27;&gt;&amp;</p>"),
    "code block": (
        "a:\n\n    x < 1\n\n      y\n\nb",
        "<p>a:</p>\n<pre><code>x &lt; 1\n\n  y</code></pre>\n<p>b</p>",
    ),
    "fence": ("```bash\n# no heading\n```\nb", "<pre><code># no heading</code></pre>\n\n<p>b</p>"),
    "code span keeps its marks": ("`**a** [b](c)`", "<p><code>**a** [b](c)</code></p>"),
    "list": ("- a\n  b\n- *c*\n\nd", "<ul><li>a b</li><li><em>c</em></li></ul>\n<p>d</p>"),
    "numbered": ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
    "link": ("[`a`](https://e.org/x_y_z)", '<p><a href="https://e.org/x_y_z"><code>a</code></a></p>'),
    "link into the bundle": ("[a](LICENSE)", "<p>a</p>"),
    "script link": ("[a](javascript:alert)", "<p>a</p>"),
    "picture": ("![A](p.png)", '<p><img src="there/p.png" alt="A" loading="lazy"></p>'),
    "absent picture": ("![A](q.png)", "<p></p>"),
    "table": (
        "| a | b |\n|---|:-:|\n| 1 | `x` |",
        '<div class="wide"><table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
        "<tbody><tr><td>1</td><td><code>x</code></td></tr></tbody></table></div>",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_markdown(case):
    markdown, expected = CASES[case]
    assert card_to_html(markdown, {"p.png": "there/p.png"}.get) == expected
