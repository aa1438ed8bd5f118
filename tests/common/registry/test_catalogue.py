"""The catalogue's page: its content, and how a browser shows it (where chromium is installed)."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import time
from html.parser import HTMLParser

import pytest

from common.registry.index import index
from common.registry.pack import pack
from tests.common.downloads.servers import serving
from tests.common.registry import toy
from tests.common.registry.webdriver import CHROMIUM, CONTROL, DRIVER, FLAGS, LEFT, browser

#: Of which one can be had, and one link leads nowhere good.
PUBLISHED = {
    "about": "of the authors",
    "files": [
        {"name": "a", "what": "<b>CT</b>", "link": "https://example.org/a?b=1&c=2", "terms": "MIT"},
        {
            "name": "b",
            "what": "lost",
            "link": "https://example.org/lost",
            "terms": "MIT",
            "obtainable": False,
        },
        {"name": "c", "what": "MR", "link": "javascript:alert(1)", "terms": "MIT"},
    ],
}
BUNDLES = {
    "organs": {"name": "Organs in abdomens", "modality": "CT", "published_weights": PUBLISHED},
    "discs": {"name": "Discs", "modality": "fundus", "dimensions": 2, "paradigm": "domain adaptation"},
    "brains": {"task": "Brain registration", "modality": "T1, T2", "reference": "Curie & Bohr, 1921"},
}


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a catalogue")
    for name, changed in BUNDLES.items():
        pack(name, folder / "dist", root=toy.checkout(folder / name, name, **changed))
    root = toy.checkout(folder / "older", "discs", version="0.0.9")
    (root / "bundles/discs/models/model.pt").unlink()
    pack("discs", folder / "dist", root=root)
    index(folder / "dist", "https://example.org/zoo")
    return folder / "dist"


class Page(HTMLParser):
    """All elements, and whether every one is closed."""

    VOID = {"meta", "link", "img", "input", "br"}

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def of(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def page(dist):
    return Page((dist / "index.html").read_text())


def test_one_tile_for_each_bundle(page, dist):
    assert [tile["id"] for tile in page.of("article")] == sorted(BUNDLES)
    assert "Version 0.1.0; also 0.0.9." in (dist / "index.html").read_text()


def test_weights_of_the_authors_are_shown_with_their_links(dist):
    text = (dist / "index.html").read_text()
    assert text.count("<li>authors&#x27; weights</li>") == 1
    shown = text.partition('id="card-organs"')[2].partition("</dialog>")[0]
    link = '<a href="https://example.org/a?b=1&amp;c=2" rel="noopener noreferrer">&lt;b&gt;CT&lt;/b&gt;</a>'
    assert f"<li>{link}. Terms: MIT</li><li>MR. Terms: MIT</li>" in shown
    assert "common.checkpoints sources organs" in shown
    assert "example.org/lost" not in text
    assert text.count("common.checkpoints sources") == 1 + text.count(
        'aria-label="Copy the command python -m common.checkpoints'
    )


def test_nothing_comes_from_elsewhere(page, dist):
    for attributes in page.of("script", "link", "img"):
        place = attributes.get("src") or attributes.get("href") or "data:"
        assert place.startswith("data:") or (dist / place).is_file(), place
    assert not re.search(r"@import|url\(|fetch\(", (dist / "index.html").read_text())
    assert len(page.of("img")) == 3 * len(BUNDLES)  # on the tile, the card and the method


def test_cards_cannot_run_anything(page, dist):
    """No element of a card has an attribute that is code."""
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in (dist / "index.html").read_text()
    assert len(page.of("script")) == 1
    attributes = {name for _, found in page.elements for name in found}
    assert not {name for name in attributes if name.startswith("on") or name in ("style", "srcdoc")}


def test_policy_allows_only_the_script_and_the_style_of_the_page(page, dist):
    (policy,) = [one["content"] for one in page.of("meta") if "http-equiv" in one]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    text = (dist / "index.html").read_text()
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert allowed.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert allowed == {
        "default-src": "'none'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_pages_link_to_each_other(page):
    """Within a bundle, and to another one that is on the page."""
    places = {element["id"] for _, element in page.elements if "id" in element}
    assert {f"{name}/method/steps-and-sizes" for name in BUNDLES} <= places
    targets = {link["href"] for link in page.of("a") if link["href"].startswith("#card=")}
    assert targets >= {
        "#card=discs&page=method&at=steps-and-sizes",
        "#card=discs&page=card&at=what-it-finds",
        "#card=discs&page=card",
        "#card=organs&page=card",
    }


def test_everything_has_a_name_for_a_screen_reader(page):
    text = {"lang": page.of("html")[0]["lang"]}
    assert text == {"lang": "en"}
    assert all("alt" in image for image in page.of("img"))
    assert all(dialog["aria-label"] for dialog in page.of("dialog"))
    labels = [button["aria-label"] for button in page.of("button") if button.get("class") == "copy"]
    weights = sum("published_weights" in metadata for metadata in BUNDLES.values())
    assert len(labels) == 3 * len(BUNDLES) + weights
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_same_zips_same_page(dist):
    before = {path: path.read_bytes() for path in dist.rglob("*") if path.is_file()}
    index(dist, "https://example.org/zoo")
    assert before == {path: path.read_bytes() for path in dist.rglob("*") if path.is_file()}


def browse(dist, tmp_path, address, *words):
    command = [
        *(CHROMIUM, *FLAGS),
        *("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000"),
        *words,
        (dist / "index.html").as_uri() + address,
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
class TestBrowser:
    @pytest.mark.parametrize(
        ("address", "left"),
        [
            ("", {"brains", "discs", "organs"}),
            ("#modality=T2", {"brains"}),
            ("#dimensions=3D", {"brains", "organs"}),
            ("#task=segmentation&paradigm=domain+adaptation", {"discs"}),
            ("#q=bohr+CURIE", {"brains"}),
            ("#q=bohr&modality=CT", set()),
        ],
    )
    def test_search_and_filters(self, dist, tmp_path, address, left):
        shown = Page(browse(dist, tmp_path, address, "--dump-dom"))
        assert {tile["id"] for tile in shown.of("article") if "hidden" not in tile} == left

    def test_card_opens_from_its_address(self, dist, tmp_path):
        shown = Page(browse(dist, tmp_path, "#card=discs", "--dump-dom"))
        assert [dialog["id"] for dialog in shown.of("dialog") if "open" in dialog] == ["card-discs"]

    def test_dark_mode_is_dark(self, dist, tmp_path):
        """The page's own background fills the upper left corner of a screenshot."""
        pillow = pytest.importorskip("PIL.Image")
        corner = {}
        for scheme in ("light", "dark"):
            words = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
            browse(dist, tmp_path, "", f"--screenshot={scheme}.png", "--window-size=800,600", *words)
            with pillow.open(tmp_path / f"{scheme}.png") as picture:
                assert picture.size == (800, 600)
                corner[scheme] = picture.convert("L").getpixel((3, 3))
        assert corner["light"] > 200
        assert corner["dark"] < 60


@pytest.fixture(params=["file", "http"])
def window(request, dist, tmp_path):
    """The page in a browser, from the file system and from a static host."""
    with browser(tmp_path) as one:
        if request.param == "file":
            one.open((dist / "index.html").as_uri())
            yield one
        else:
            with serving(dist) as server:
                one.open(f"{server.url}/index.html")
                yield one
        assert one.complaints() == []


def soon(look, wanted, seconds=30):
    """Wait for the page to react."""
    end = time.monotonic() + seconds
    while (seen := look()) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    assert seen == wanted


def left(window):
    return set(window.run("return [...document.querySelectorAll('article:not([hidden])')].map(t => t.id)"))


def choose(window, name, value):
    window.click(f"//select[@name='{name}']/option[.='{value}']")


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver here: make test-browser")
class TestInput:
    """The page under real keys and clicks."""

    def test_typed_search_and_clear(self, window):
        window.type("input[type=search]", "CURIE bohr")
        soon(lambda: left(window), {"brains"})
        assert window.text("#count") == "1 of 3 bundles"
        assert window.run("return location.hash") == "#q=CURIE+bohr"
        window.click("button[type=reset]")
        assert window.read("input[type=search]") == ""
        soon(lambda: left(window), set(BUNDLES))
        assert window.text("#count") == "3 bundles"

    @pytest.mark.parametrize(
        ("name", "value", "found"),
        [
            ("task", "registration", {"brains"}),
            ("modality", "fundus", {"discs"}),
            ("paradigm", "domain adaptation", {"discs"}),
            ("dimensions", "3D", {"brains", "organs"}),
        ],
    )
    def test_each_filter(self, window, name, value, found):
        choose(window, name, value)
        soon(lambda: left(window), found)
        choose(window, name, "all")
        soon(lambda: left(window), set(BUNDLES))

    def test_copied_command_can_be_pasted(self, window):
        """Pasted into the search field, since a page may not read the clipboard by itself."""
        command = window.read("#discs .body .command code", "textContent")
        assert command.startswith(
            "python -m monai.bundle download --name discs --url https://example.org/zoo/"
        )
        window.click("#discs .body .command .copy")
        soon(lambda: window.text("#discs .body .command .copy"), "Copied")
        window.type("input[type=search]", CONTROL + "v")
        soon(lambda: window.read("input[type=search]"), command)

    def test_card_opens_shows_its_picture_and_closes(self, window):
        window.click("#organs .more")
        shown = "const p = document.querySelector('#card-organs[open] .card img'); return p && p.naturalWidth"
        soon(lambda: window.run(shown), 64)
        assert "Finds things in scans" in window.text("#card-organs .card")
        window.click("#card-organs form button")
        soon(lambda: window.run("return document.querySelector('dialog[open]')"), None)

    def test_pages_of_a_bundle(self, window):
        """By tab, by arrow key, by a link to a heading, and back."""
        page = "return document.querySelector('dialog[open] section.card:not([hidden])').id"
        window.click("#organs .more")
        window.click("//dialog[@id='card-organs']//button[.='Method']")
        soon(lambda: window.run(page), "organs/method")
        assert "Steps and sizes" in window.text("#card-organs")
        window.type("//dialog[@id='card-organs']//button[.='Method']", LEFT)
        soon(lambda: window.run(page), "organs/card")
        window.click("//dialog[@id='card-organs']//a[.='the method']")
        soon(lambda: window.run(page), "organs/method")
        assert window.run("return location.hash") == "#card=organs&page=method&at=steps-and-sizes"
        window.run("history.back()")
        soon(lambda: window.run("return document.querySelector('dialog[open]')"), None)

    def test_link_to_another_bundle(self, window):
        """What was searched for stays."""
        window.type("input[type=search]", "fundus")
        window.click("#discs .more")
        window.click("//dialog[@id='card-discs']//a[.='organs']")
        soon(lambda: window.run("return document.querySelector('dialog[open]').id"), "card-organs")
        assert window.run("return location.hash") == "#q=fundus&card=organs&page=card"
        window.click("#card-organs form button")
        soon(lambda: window.run("return location.hash"), "#q=fundus")
        assert left(window) == {"discs"}

    def test_injected_code_does_not_run(self, dist, tmp_path):
        """Should markup ever slip through, the policy stops it."""
        page = (dist / "index.html").read_text()
        evil = '<img src="none" onerror="document.title=1"><script>document.title=2</script>'
        evil += '<a id="go" href="javascript:document.title=3">x</a><b style="color:red">y</b>'
        assert page.count("<main>") == 1
        (tmp_path / "page.html").write_text(page.replace("<main>", f"<main>{evil}"))
        with browser(tmp_path) as window:
            window.open((tmp_path / "page.html").as_uri())
            window.click("#go")
            time.sleep(0.3)
            assert window.run("return document.title") == "Method Zoo: catalogue"
            assert (
                window.run("return getComputedStyle(document.querySelector('main b')).color")
                != "rgb(255, 0, 0)"
            )
            assert sum("Content Security Policy" in one for one in window.complaints()) >= 4

    @pytest.mark.parametrize("width", [360, 1280])
    def test_nothing_sticks_out_at_the_side(self, dist, tmp_path, width):
        """On a telephone too: the page never scrolls sideways."""
        with browser(tmp_path, (max(width, 500), 900)) as window:
            window.open((dist / "index.html").as_uri())
            wide = "document.documentElement.style.width = arguments[0] + 'px'"
            window.ask("POST", "/execute/sync", script=wide, args=[width])
            window.screenshot(tmp_path / "page.png")
            inside = "return Math.max(...[...document.querySelectorAll('body *')]"
            inside += ".filter(e => e.checkVisibility() && !e.closest('.command, dialog'))"
            inside += ".map(e => e.getBoundingClientRect().right))"
            assert window.run(inside) <= width + 1
            assert (tmp_path / "page.png").stat().st_size > 5000
