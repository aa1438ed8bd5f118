import subprocess
import sys

from common.errors import printable


def test_printable():
    assert printable("Dice 0.9, naïve 心") == "Dice 0.9, naïve 心"
    assert printable("\x1b[31m\x9b\u202e\n\ud800") == r"\x1b[31m\x9b\u202e\n\ud800"
    assert printable("a\nb\r", kept="\n") == "a\nb\\r"


def test_an_error_shows_the_escapes_that_it_quotes():
    """A terminal would obey them, and a lone surrogate cannot be printed at all."""
    code = (
        "from common.errors import InputError, show_input_errors_as_one_line as show\n"
        "show()\n"
        "raise InputError('a.json: x = \\x1b[2J\\ud800;\\nrepair')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (1, "error: a.json: x = \\x1b[2J\\ud800;\nrepair\n")
