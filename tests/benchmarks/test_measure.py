"""Measurement: only calls whose results a compiler cannot skip, and compilers that may fail."""

from __future__ import annotations

import pytest
import torch
from torch._inductor.exc import InductorError

from benchmarks import __main__ as command
from benchmarks.speed.measure import Case, Figures, Row, measure
from benchmarks.speed.report import table


def case(**ways):
    x = torch.ones(4)
    return Case(**{"what": "sum", "size": "4", "tokens": 4, "ours": x.sum, "direct": x.sum} | ways)


def test_a_call_without_results_is_refused():
    """torch.compile drops unused results: such a call would seem to take no time."""
    with pytest.raises(TypeError, match="demo, sum: ours returns nothing"):
        measure("demo", case(ours=lambda: None), device="cpu", seconds=0)


def test_a_compiler_that_fails_is_reported():
    def fails():
        raise InductorError(AssertionError("no such store"), None)

    row = measure("demo", case(compiled=fails), device="cpu", seconds=0, with_compiled=True)
    assert row.compiled is None
    assert row.ours.seconds > 0
    assert "PyTorch's compiler failed (InductorError: AssertionError: no such store)." in table([row])


def test_compiling_has_a_price():
    """A lead of 2 ms per call pays for 6 s of compiling after 3000 calls; without a lead it never does."""

    def row(compiled_ms):
        ours, compiled = (
            Figures(seconds=ms / 1000, fastest_seconds=ms / 1000, peak_bytes=1) for ms in (5, compiled_ms)
        )
        facts = {"kind": "op", "benchmark": "demo", "what": "sum", "size": "4", "tokens": 4, "repeats": 3}
        return Row(**facts, ours=ours, direct=ours, compiled=compiled, compile_seconds=6.0)

    assert row(3).calls_to_repay == pytest.approx(3000)
    assert "no (0.60 times as fast; compiling took 6.0 s, repaid after 3000 calls or more)" in table([row(3)])
    assert row(10).calls_to_repay is None
    assert "yes (2.00 times as fast; compiling took 6.0 s)" in table([row(10)])


def test_contenders_alternate_in_no_fixed_order():
    """Always running second means paying for what the first leaves behind."""
    seen = []
    ways = {way: lambda way=way: seen.append(way) or way for way in ("ours", "direct")}
    measure("demo", case(**ways), device="cpu", seconds=1, max_repeats=20)
    measured = seen[2:42]  # after the first calls, before those that measure memory
    assert measured.count("ours") == 20
    assert 5 < sum(first == "ours" for first in measured[::2]) < 15


@pytest.mark.full  # runs a C++ compiler
def test_compiled_contender_is_measured():
    row = measure("demo", case(), device="cpu", seconds=0, with_compiled=True)
    assert row.compiled.seconds > 0
    assert row.compile_seconds > row.compiled.seconds


def test_a_case_compiled_by_another_is_skipped():
    row = measure("demo", case(compilable=False), device="cpu", seconds=0, with_compiled=True)
    assert row.compiled is None
    assert row.compile_error is None


@pytest.mark.parametrize(
    ("words", "of_op", "of_bundle"),
    [
        ((), "smallest", "none"),
        (("--bundle", "cotr"), "smallest", "smallest"),
        (("--bundle", "cotr", "--quick"), "none", "none"),
        (("--quick", "--compile", "all"), "all", "all"),
        (("--compile", "smallest"), "smallest", "smallest"),
        (("--compile", "none"), "none", "none"),
    ],
)
def test_what_is_compiled_on_a_cpu(words, of_op, of_bundle):
    options = command.parse(list(words))
    expected = {"none": (False, False), "smallest": (True, False), "all": (True, True)}
    for kind, which in (("op", of_op), ("bundle", of_bundle)):
        found = tuple(command._compile(options, kind, first_size=first) for first in (True, False))
        assert found == expected[which], kind
