"""A real browser for one test: Debian's chromium through its chromedriver, by the W3C WebDriver protocol.

Clicks and keys count as a user's, not a script's: only then may a page write to the clipboard.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

# No first-run pages, no look-ups of hosts elsewhere; no sandbox since tests may run as root.
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
CONTROL, LEFT = "\ue009", "\ue012"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference to an element
_TIMEOUT_S = 120


class Browser:
    """One window."""

    def __init__(self, driver: str, profile: Path, size: tuple[int, int]) -> None:
        flags = [*FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]
        options = {"goog:chromeOptions": {"binary": CHROMIUM, "args": flags}}
        self.at = f"{driver}/session"
        wanted = {"alwaysMatch": {**options, "goog:loggingPrefs": {"browser": "ALL"}}}
        self.at += "/" + self.ask("POST", "", capabilities=wanted)["sessionId"]

    def ask(self, method: str, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self.at + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def open(self, address: str) -> None:
        self.ask("POST", "/url", url=address)

    def find(self, selector: str) -> str:
        using = "xpath" if selector.startswith("//") else "css selector"
        found = self.ask("POST", "/element", using=using, value=selector)
        return f"/element/{found[_ELEMENT]}"

    def click(self, selector: str) -> None:
        self.ask("POST", f"{self.find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        self.ask("POST", f"{self.find(selector)}/value", text=text)

    def text(self, selector: str) -> str:
        return self.ask("GET", f"{self.find(selector)}/text")

    def read(self, selector: str, name: str = "value") -> str:
        """A property of the element: ``value``, or ``textContent`` with what is cut off on the screen."""
        return self.ask("GET", f"{self.find(selector)}/property/{name}")

    def run(self, script: str) -> Any:
        return self.ask("POST", "/execute/sync", script=script, args=[])

    def complaints(self) -> list[str]:
        """What the page has written to the console."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", type="browser")]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))


@contextmanager
def browser(folder: Path, size: tuple[int, int] = (1280, 900)) -> Iterator[Browser]:
    """Start both programs, end them with the block.

    Args:
        folder: for the browser's profile.
        size: of the window, pixels.
    """
    process = subprocess.Popen([DRIVER, "--port=0"], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        port = next(line.split()[-1].rstrip(".") for line in process.stdout if "successfully on port" in line)
        window = Browser(f"http://127.0.0.1:{port}", folder / "driven profile", size)
        try:
            yield window
        finally:
            window.ask("DELETE", "")
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
