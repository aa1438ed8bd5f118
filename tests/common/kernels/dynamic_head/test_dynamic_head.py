"""The dynamic head: reference against finite differences and the authors' numbers, the rest against it."""

from __future__ import annotations

import random

import pytest
import torch

from common.kernels.dynamic_head import cpu, dynamic_head, dynamic_head_reference, parameter_count
from tests.vectors import load

# B, T, C, K, spatial: sizes of one, odd sizes, several tasks, 2D, other widths than the published
SIZES = {
    "dodnet": (2, 1, 8, 2, (5, 7, 9)),
    "transdodnet": (1, 2, 8, 2, (3, 5, 4)),
    "ones": (1, 1, 1, 1, (1, 1, 1)),
    "2d": (2, 2, 5, 3, (11, 13)),
    "wide": (2, 1, 17, 4, (3, 3, 3)),
    "several programs": (1, 2, 2, 1, (13, 13, 13)),
    "no sample": (0, 2, 8, 2, (3, 4, 5)),
    "no voxel": (2, 1, 4, 2, (3, 0, 5)),
}


def inputs(B, T, C, K, spatial, *, dtype=torch.float32):
    g = torch.Generator().manual_seed(0)
    features = torch.randn(B, C, *spatial, generator=g, dtype=dtype)
    parameters = torch.randn(B, T, parameter_count(C, K), generator=g, dtype=dtype) / C**0.5
    cotangent = torch.randn(B, T, K, *spatial, generator=g, dtype=dtype)
    return [features.requires_grad_(), parameters.requires_grad_()], cotangent


def results(head, tensors, cotangent, K, device="cpu"):
    tensors = [t.detach().to(device).requires_grad_() for t in tensors]
    out = head(*tensors, K)
    return [t.cpu() for t in (out, *torch.autograd.grad(out, tensors, cotangent.to(device)))]


def assert_same(ours, theirs, *, rtol=1e-5):
    for name, a, b in zip(("logits", "features", "parameters"), ours, theirs, strict=True):
        scale = b.abs().max().item() if b.numel() else 0.0
        torch.testing.assert_close(
            a, b, rtol=rtol, atol=rtol * scale, msg=lambda m, name=name: f"{name}: {m}"
        )


def compare(size, device, *, rtol=1e-5, dtype=torch.float32):
    tensors, cotangent = inputs(*size, dtype=dtype)
    theirs = results(dynamic_head_reference, tensors, cotangent, size[3])
    ours = results(dynamic_head, tensors, cotangent, size[3], device)
    assert all(torch.isfinite(t).all() for t in ours)
    assert_same(ours, theirs, rtol=rtol)


def test_computes_what_the_authors_compute(device):
    vector = load("transdodnet_dynamic_head")
    features, parameters = (vector.inputs[name].to(device) for name in ("features", "params"))
    for head in (dynamic_head_reference, dynamic_head):
        vector.compare({"logits": head(features, parameters[:, None], 2)[:, 0].cpu()})


@pytest.mark.parametrize("head", [dynamic_head_reference, dynamic_head])
def test_gradients_are_those_of_finite_differences(head):
    tensors, _ = inputs(2, 2, 3, 2, (2, 3), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x, p: head(x, p, 2), tensors)


def test_one_voxel_by_hand(device):
    """C = K = 1: relu(2 * 3 + 1) = 7, relu(-1 * 7 + 9) = 2, 5 * 2 - 4 = 6."""
    parameters = torch.tensor([[[2.0, -1.0, 5.0, 1.0, 9.0, -4.0]]], device=device)
    assert dynamic_head(torch.full((1, 1, 1), 3.0, device=device), parameters, 1).item() == 6


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_matches_reference_with_gradients(size, device):
    compare(size, device)


@pytest.mark.parametrize("seed", range(4))
def test_matches_reference_at_random_shapes(seed, device):
    draw = random.Random(seed)
    B, T, C, K = (draw.randint(1, n) for n in (2, 2, 6, 3))
    compare((B, T, C, K, tuple(draw.randint(1, 9) for _ in range(draw.choice([1, 2, 3])))), device)


@pytest.mark.parametrize("block", [1, 7, 100])
def test_block_size_does_not_matter(block, monkeypatch):
    monkeypatch.setattr(cpu, "_BLOCK_VOXELS", block)
    compare(SIZES["transdodnet"], "cpu")


def test_double_precision_stays_double(device):
    compare(SIZES["2d"], device, rtol=1e-12, dtype=torch.float64)


def test_takes_tensors_that_are_not_contiguous(device):
    (features, parameters), cotangent = inputs(*SIZES["dodnet"])
    theirs = results(dynamic_head_reference, (features, parameters), cotangent, 2)
    strided = [
        t.detach().to(device).transpose(0, -1).contiguous().transpose(0, -1) for t in (features, parameters)
    ]
    strided = [t.requires_grad_() for t in strided]
    assert not any(t.is_contiguous() for t in strided)
    out = dynamic_head(*strided, 2)
    grad = cotangent.to(device).transpose(0, -1).contiguous().transpose(0, -1)
    ours = [t.cpu() for t in (out, *torch.autograd.grad(out, strided, grad))]
    assert_same(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_features_are_summed_in_float32(dtype, device):
    """Rounded once, at the end: against the exact result from the same rounded features."""
    size = SIZES["transdodnet"]
    (features, parameters), cotangent = inputs(*size)
    rounded, given = features.detach().to(dtype), cotangent.to(dtype)
    exact = results(dynamic_head_reference, (rounded.float(), parameters), given.float(), 2)
    ours = results(dynamic_head, (rounded, parameters), given, 2, device)
    assert [t.dtype for t in ours] == [dtype, dtype, torch.float32]
    step = torch.finfo(dtype).eps
    for a, b in zip(ours[:2], exact[:2], strict=True):
        torch.testing.assert_close(a, b.to(dtype), rtol=step, atol=step / 64)
    torch.testing.assert_close(ours[2], exact[2], rtol=1e-4, atol=1e-4)


def test_under_autocast_it_computes_in_float32(device):
    (features, parameters), _ = inputs(*SIZES["dodnet"])
    rounded = features.detach().to(device, torch.bfloat16)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        out = dynamic_head(rounded, parameters.to(device), 2)
    exact = dynamic_head_reference(rounded.float().cpu(), parameters, 2)
    torch.testing.assert_close(out.cpu(), exact, rtol=1e-5, atol=1e-5)


def test_samples_and_tasks_are_independent(device):
    (features, parameters), _ = inputs(*SIZES["2d"])
    features, parameters = features.to(device), parameters.to(device)
    together = dynamic_head(features, parameters, 3)
    for b in range(2):
        for t in range(2):
            alone = dynamic_head(features[b : b + 1], parameters[b : b + 1, t : t + 1], 3)
            torch.testing.assert_close(together[b : b + 1, t : t + 1], alone)


@pytest.mark.parametrize("head", [dynamic_head_reference, dynamic_head])
@pytest.mark.parametrize(
    ("features", "parameters", "found"),
    [
        ((2, 8, 3), (2, 1, 180), "N=180 parameters; 8 channels and 2 outputs need 162"),
        ((2, 8, 3), (1, 1, 162), r"\[2, 8, 3\], parameters \[1, 1, 162\]; expected"),
        ((2, 8, 3), (2, 162), r"parameters \[2, 162\]; expected \(B, C, \*S\) and \(B, T, N\)"),
    ],
)
def test_sizes_that_do_not_fit_are_named(head, features, parameters, found):
    with pytest.raises(ValueError, match=found):
        head(torch.zeros(features), torch.zeros(parameters), 2)


@pytest.mark.usefixtures("clean_memory")
class TestCompilers:
    """The operator as ``torch.compile``, ``torch.export`` and TorchScript see it."""

    def test_operator_is_registered_correctly(self):
        (features, parameters), _ = inputs(*SIZES["transdodnet"])
        operator = torch.ops.method_zoo.dynamic_head
        torch.library.opcheck(operator, (features.flatten(2), parameters, 2))

    @pytest.mark.parametrize("backend", ["eager", "aot_eager"])
    def test_compiles_without_a_break(self, backend):
        tensors, cotangent = inputs(*SIZES["dodnet"])
        compiled = torch.compile(dynamic_head, fullgraph=True, backend=backend)
        assert_same(results(compiled, tensors, cotangent, 2), results(dynamic_head, tensors, cotangent, 2))

    def test_exports_as_one_operator(self):
        class Head(torch.nn.Module):
            def forward(self, features, parameters):
                return dynamic_head(features, parameters, 2)

        tensors, _ = inputs(*SIZES["dodnet"])
        program = torch.export.export(Head(), tuple(tensors))
        targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
        assert targets.count("method_zoo.dynamic_head.default") == 1
        torch.testing.assert_close(program.module()(*tensors), dynamic_head(*tensors, 2))

    def test_script_contains_no_custom_operator(self):
        tensors, _ = inputs(*SIZES["dodnet"])
        script = torch.jit.script(dynamic_head)
        assert "method_zoo" not in str(script.inlined_graph)
        torch.testing.assert_close(script(*tensors, 2), dynamic_head(*tensors, 2))
