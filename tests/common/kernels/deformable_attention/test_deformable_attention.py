import math

import pytest
import torch

from benchmarks.speed.memory import peak_bytes
from common.kernels import deformable_attention as module
from common.kernels.deformable_attention import cpu, deformable_attention, deformable_attention_reference
from tests.common.kernels.deformable_cases import SIZES, assert_same, inputs, output_and_gradients


@pytest.mark.parametrize(
    ("levels", "M"), [([[3, 2], [2, 1]], 2), ([[2, 3, 2], [1, 2, 1]], 1)], ids=["2d", "3d"]
)
@pytest.mark.parametrize("attend", [deformable_attention_reference, deformable_attention])
def test_gradients_are_those_of_finite_differences(levels, M, attend):
    tensors, _ = inputs(levels, 1, 3, M, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v, x, w: attend(v, levels, x, w), tensors)


def test_locations_have_the_last_axis_first():
    value = torch.arange(24.0).view(1, 24, 1, 1)  # voxel (d, h, w) of a (2, 3, 4) level holds 12 d + 4 h + w
    d, h, w = 1, 2, 1
    location = torch.tensor([(w + 0.5) / 4, (h + 0.5) / 3, (d + 0.5) / 2]).view(1, 1, 1, 1, 1, 3)
    out = deformable_attention(value, [[2, 3, 4]], location, torch.ones(1, 1, 1, 1, 1))
    assert out.item() == pytest.approx(12 * d + 4 * h + w, abs=1e-5)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_matches_reference_with_gradients(size):
    levels = size[0]
    tensors, cotangent = inputs(*size)
    ours = output_and_gradients(deformable_attention, levels, tensors, cotangent)
    theirs = output_and_gradients(deformable_attention_reference, levels, tensors, cotangent)
    assert all(torch.isfinite(t).all() for t in ours)
    assert_same(ours, theirs)


@pytest.mark.parametrize("block_points", [1, 24, 100, 1000])
def test_block_size_does_not_matter(monkeypatch, block_points):
    levels, *rest = SIZES["3d primes"]
    tensors, cotangent = inputs(levels, *rest)
    theirs = output_and_gradients(deformable_attention_reference, levels, tensors, cotangent)
    monkeypatch.setattr(cpu, "_BLOCK_POINTS", block_points)
    assert_same(output_and_gradients(deformable_attention, levels, tensors, cotangent), theirs)


def test_takes_tensors_that_are_not_contiguous():
    levels, *rest = SIZES["3d"]
    tensors, cotangent = inputs(levels, *rest)
    strided = [t.detach().transpose(0, 2).contiguous().transpose(0, 2).requires_grad_() for t in tensors]
    assert not any(t.is_contiguous() for t in strided)
    transposed = cotangent.transpose(0, 1).contiguous().transpose(0, 1)
    ours = output_and_gradients(deformable_attention, levels, strided, transposed)
    assert_same(ours, output_and_gradients(deformable_attention_reference, levels, tensors, cotangent))


def test_points_outside_read_zero_and_get_no_gradient():
    levels = [[2, 3, 4]]
    (value, locations, weights), cotangent = inputs(levels, 1, 4, 2, 3, 2)
    far = torch.tensor([-1e30, -1.0, 2.0, float("inf")]).view(1, 4, 1, 1, 1, 1)
    locations = far.expand(locations.shape).contiguous().requires_grad_()
    tensors = [value, locations, weights]
    for result in output_and_gradients(deformable_attention, levels, tensors, cotangent):
        assert not result.any()


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_values_are_summed_in_float32(autocast):
    levels, *rest = SIZES["3d"]
    (value, locations, weights), cotangent = inputs(levels, *rest)
    rounded = value.detach().bfloat16()
    exact = deformable_attention_reference(rounded.float(), levels, locations, weights)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        out = deformable_attention(rounded, levels, locations, weights)
    if autocast:
        torch.testing.assert_close(out, exact, rtol=1e-5, atol=1e-5)
    else:  # rounded once, at the end
        assert out.dtype == torch.bfloat16
        torch.testing.assert_close(out, exact.bfloat16(), rtol=2**-8, atol=1e-5)
    half = rounded.requires_grad_()
    (gradient,) = torch.autograd.grad(deformable_attention(half, levels, locations, weights), half, cotangent)
    assert gradient.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda v, s, x, w: (v[:, 1:], s, x, w), "S=215 tokens.*216"),
        (lambda v, s, x, w: (v, s[:1], x, w), "S=216 tokens.*192"),
        (lambda v, s, x, w: (v, s, x[..., :2], w), r"shape \[4, 6, 8\], locations have 2"),
        (lambda v, s, x, w: (v, s, x, w[..., :1]), r"weights .*\[2, 50, 6, 2, 1\].*\[2, 50, 6, 2, 4\]"),
        (lambda v, s, x, w: (v[:1], s, x, w), r"\[2, 50, 6, 2, 4, 3\].*\[1, 50, 6, 2, 4\]"),
        (lambda v, s, x, w: (v.flatten(2), s, x, w), r"\[2, 216, 48\].*expected \(B, S, M, C\)"),
    ],
    ids=["tokens", "levels", "coordinates", "weights", "batch", "axes"],
)
def test_sizes_that_do_not_fit_are_named(change, found):
    levels, *rest = SIZES["3d"]
    (value, locations, weights), _ = inputs(levels, *rest)
    for attend in (deformable_attention, deformable_attention_reference):
        with pytest.raises(ValueError, match=found):
            attend(*change(value, levels, locations, weights))


def test_the_environment_selects_the_reference_at_call_time(monkeypatch):
    levels, *rest = SIZES["2d"]
    tensors, _ = inputs(levels, *rest)

    def refuse(*_):
        raise AssertionError("the operator was called")

    monkeypatch.setattr(module, "_fused", refuse)
    with pytest.raises(AssertionError, match="was called"):
        deformable_attention(tensors[0], levels, *tensors[1:])
    monkeypatch.setenv("COMMON_KERNELS", "eager")
    out = deformable_attention(tensors[0], levels, *tensors[1:])
    assert torch.equal(out, deformable_attention_reference(tensors[0], levels, *tensors[1:]))


@pytest.mark.usefixtures("clean_memory")
class TestCompilers:
    """The operator as ``torch.compile``, ``torch.export`` and TorchScript see it."""

    levels, *rest = SIZES["3d primes"]

    def attend(self, value, locations, weights):
        return deformable_attention(value, self.levels, locations, weights)

    @pytest.mark.parametrize("name", ["2d", "3d", "no query"])
    def test_operator_is_registered_correctly(self, name):
        levels, *rest = SIZES[name]
        (value, locations, weights), _ = inputs(levels, *rest)
        sizes = [n for level in levels for n in level]
        torch.library.opcheck(torch.ops.method_zoo.deformable_attention, (value, sizes, locations, weights))

    @pytest.mark.parametrize("backend", ["eager", "aot_eager"])
    def test_compiles_without_a_break(self, backend):
        tensors, cotangent = inputs(self.levels, *self.rest)
        compiled = torch.compile(self.attend, fullgraph=True, backend=backend)
        out = compiled(*tensors)
        ours = [out, *torch.autograd.grad(out, tensors, cotangent)]
        theirs = output_and_gradients(deformable_attention, self.levels, tensors, cotangent)
        assert_same(ours, theirs)

    def test_exports_as_one_operator(self):
        class Attend(torch.nn.Module):
            forward = self.attend

        tensors, _ = inputs(self.levels, *self.rest)
        program = torch.export.export(Attend(), tuple(tensors))
        targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
        assert targets.count("method_zoo.deformable_attention.default") == 1
        torch.testing.assert_close(program.module()(*tensors), self.attend(*tensors))

    def test_script_contains_no_custom_operator(self):
        tensors, _ = inputs(self.levels, *self.rest)
        script = torch.jit.script(deformable_attention)
        assert "method_zoo" not in str(script.inlined_graph)
        torch.testing.assert_close(script(tensors[0], self.levels, *tensors[1:]), self.attend(*tensors))

    @pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
    def test_trace_contains_no_custom_operator(self):
        tensors, _ = inputs(self.levels, *self.rest)
        trace = torch.jit.trace(self.attend, tuple(tensors))
        assert "method_zoo" not in str(trace.graph)
        torch.testing.assert_close(trace(*tensors), self.attend(*tensors))


@pytest.mark.usefixtures("clean_memory")
@pytest.mark.parametrize(
    ("levels", "share"), [([[8, 8, 8], [4, 4, 4]], 0.5), ([[12, 24, 24], [6, 12, 12]], 0.1)]
)
def test_memory_is_a_fraction_of_the_reference(levels, share):
    """Beyond the output and the gradients, which both forms hold; at CoTr's widths."""
    queries = sum(math.prod(level) for level in levels)
    tensors, cotangent = inputs(levels, 1, queries, 6, 64, 4)
    results = cotangent.nbytes + sum(t.nbytes for t in tensors)

    def peak(attend):
        return peak_bytes(lambda: output_and_gradients(attend, levels, tensors, cotangent)) - results

    ours, theirs = peak(deformable_attention), peak(deformable_attention_reference)
    assert 0 < ours <= share * theirs
