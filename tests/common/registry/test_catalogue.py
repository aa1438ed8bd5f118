"""The catalogue's page: what it holds, and what a browser makes of it (where chromium is installed)."""

from __future__ import annotations

import re
import subprocess
import time
from html.parser import HTMLParser

import pytest

from common.registry.index import index
from common.registry.pack import pack
from tests.common.registry import toy
from tests.common.registry.servers import serving
from tests.common.registry.webdriver import CHROMIUM, CONTROL, DRIVER, FLAGS, browser

BUNDLES = {
    "organs": {"name": "Organs in abdomens", "modality": "CT"},
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


def test_nothing_comes_from_elsewhere(page, dist):
    for attributes in page.of("script", "link", "img"):
        place = attributes.get("src") or attributes.get("href") or "data:"
        assert place.startswith("data:") or (dist / place).is_file(), place
    assert not re.search(r"@import|url\(|fetch\(", (dist / "index.html").read_text())
    assert len(page.of("img")) == 2 * len(BUNDLES)


def test_cards_cannot_run_anything(dist):
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in (dist / "index.html").read_text()
    assert len(Page((dist / "index.html").read_text()).of("script")) == 1


def test_everything_has_a_name_for_a_screen_reader(page):
    text = {"lang": page.of("html")[0]["lang"]}
    assert text == {"lang": "en"}
    assert all("alt" in image for image in page.of("img"))
    assert all(dialog["aria-label"] for dialog in page.of("dialog"))
    labels = [button["aria-label"] for button in page.of("button") if button.get("class") == "copy"]
    assert len(labels) == 3 * len(BUNDLES)
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
    """Pages answer a click in their own time."""
    end = time.monotonic() + seconds
    while (seen := look()) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    assert seen == wanted


def left(window):
    return set(window.run("return [...document.querySelectorAll('article:not([hidden])')].map(t => t.id)"))


def choose(window, name, value):
    window.click(f"//select[@name='{name}']/option[.='{value}']")


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver here: make test-browser")
class TestHands:
    """What a person does on the page, with real keys and clicks."""

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
