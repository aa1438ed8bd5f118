"""The blockwise consistency against its definition: values, gradients, low precision, memory."""

from __future__ import annotations

import pytest
import torch

from benchmarks.speed.memory import peak_bytes
from common.kernels import mutual_consistency as module
from common.kernels.mutual_consistency import mutual_consistency, mutual_consistency_reference
from common.losses.consistency.mutual_consistency import MutualConsistencyLoss

# B, C, then voxels: one, a prime, one past a block, no spatial axis.
SHAPES = [(2, 2, 5, 7, 3), (1, 4, 1), (3, 3, 17), (2, 2, 2, (1 << 15) // 2 + 1), (4, 5)]


def maps(shape, decoders=3, *, scale=3.0, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    drawn = [scale * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(decoders)]
    return [z.to(dtype).requires_grad_() for z in drawn]


def value_and_gradients(function, logits, cotangent=1.7, **options):
    loss = function(logits, **options)
    return loss.detach(), torch.autograd.grad(loss * cotangent, logits)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_equals_the_definition(shape, detach, temperature):
    logits = maps(shape)
    options = {"temperature": temperature, "detach": detach}
    ours, direct = (
        value_and_gradients(f, logits, **options) for f in (mutual_consistency, mutual_consistency_reference)
    )
    torch.testing.assert_close(ours[0], direct[0], rtol=1e-12, atol=0)
    for one, other in zip(ours[1], direct[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("decoders", [1, 2, 5])
def test_any_number_of_decoders(decoders):
    logits = maps((2, 3, 11), decoders)
    ours, direct = (
        value_and_gradients(f, logits) for f in (mutual_consistency, mutual_consistency_reference)
    )
    torch.testing.assert_close(ours, direct)
    assert (ours[0] == 0) == (decoders == 1)


@pytest.mark.parametrize("detach", [False, True])
def test_numerical_gradient_of_the_definition(detach):
    def loss(*logits):
        return mutual_consistency_reference(logits, 0.5, detach=detach)

    def undetached(*logits):
        constant = [z.detach() for z in logits]
        from common.tensors.sharpening import sharpen_logits

        sharp = [sharpen_logits(z, 0.5) for z in constant]
        return sum(
            torch.mean((logits[i].softmax(1) - sharp[j]) ** 2) for i in range(2) for j in range(2) if i != j
        )

    logits = maps((1, 3, 4), 2, scale=1.0)
    if detach:  # what autograd must give with the sharpened side held constant
        torch.testing.assert_close(
            torch.autograd.grad(loss(*logits), logits), torch.autograd.grad(undetached(*logits), logits)
        )
    else:
        assert torch.autograd.gradcheck(loss, logits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_low_precision_logits(dtype, classes, scale):
    """Computed in float32: as accurate as the logits themselves, whatever their size."""
    logits = maps((2, classes, 6, 5, 4), scale=scale, dtype=dtype)
    exact = [z.detach().double().requires_grad_() for z in logits]
    # A loss scale, without which the mean's gradients would be among the smallest that float16 can hold.
    loss, gradients = value_and_gradients(mutual_consistency, logits, 1000.0)
    expected, directions = value_and_gradients(mutual_consistency_reference, exact, 1000.0)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-7)
    for one, other in zip(gradients, directions, strict=True):
        assert one.dtype == dtype
        # The gradient has the logits' own type: 8 or 11 bits.
        largest = other.abs().max()
        assert (one.double() - other).abs().max() <= 2 * torch.finfo(dtype).eps * largest


def test_loss_scale_of_mixed_precision_reaches_the_gradient_before_it_is_rounded():
    """A mean over 10^6 voxels has gradients of 1e-6 and less, which float16 would round to nothing."""
    logits = maps((1, 2, 1_000_000), 2, dtype=torch.float16, scale=0.01)
    (gradient, _) = torch.autograd.grad(mutual_consistency(logits) * 2.0**16, logits)
    exact = [z.detach().double().requires_grad_() for z in logits]
    (expected, _) = torch.autograd.grad(mutual_consistency_reference(exact) * 2.0**16, exact)
    typical = expected.abs().median()
    assert (gradient.double() - expected).abs().max() < 0.01 * expected.abs().max()
    assert typical > 0.01 * expected.abs().max()


def test_no_cancellation_where_the_decoders_nearly_agree():
    """All maps confident and similar: the loss is about 1e-9, and accurate to 0.1 % in float32."""
    common_part = 4.0 * torch.sign(torch.randn(1, 1, 5000, generator=torch.Generator().manual_seed(1)))
    exact = [
        (torch.cat([-common_part, common_part], 1).double() + 1e-2 * z.detach()).requires_grad_()
        for z in maps((1, 2, 5000))
    ]
    single = [z.detach().float().requires_grad_() for z in exact]
    exact = [z.detach().double().requires_grad_() for z in single]
    torch.testing.assert_close(
        mutual_consistency(single, 1.0).double(), mutual_consistency_reference(exact, 1.0), rtol=1e-3, atol=0
    )


def test_saturated_logits_give_finite_gradients():
    logits = [torch.tensor([[200.0, -200.0, 0.0]]).requires_grad_(), torch.zeros(1, 3).requires_grad_()]
    gradients = torch.autograd.grad(mutual_consistency(logits), logits)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_memory_is_little_more_than_the_gradients():
    """No pairwise temporaries: only a few blocks beyond the K gradients; the direct form takes much more."""
    logits = maps((4, 2, 64, 64, 32), 3, dtype=torch.float32)
    one_map = logits[0].numel() * 4

    def step(function):
        def run():
            return torch.autograd.grad(function(logits), logits)

        return run

    ours, direct = peak_bytes(step(mutual_consistency)), peak_bytes(step(mutual_consistency_reference))
    assert ours < 8 * one_map, "three gradients, three scaled ones, blocks"
    assert direct > 2 * ours


def test_without_gradients_nothing_is_kept():
    logits = maps((4, 2, 64, 64, 32), 3, dtype=torch.float32)
    with torch.no_grad():
        assert peak_bytes(lambda: mutual_consistency(logits)) < 1.5 * logits[0].numel() * 4


def test_environment_selects_the_reference(monkeypatch):
    monkeypatch.setenv("COMMON_KERNELS", "eager")
    monkeypatch.setattr(module, "_fused", None)
    assert mutual_consistency(maps((1, 2, 3))) > 0


@pytest.mark.parametrize(
    ("shapes", "temperature", "says"),
    [
        ([(1, 2, 3), (1, 2, 4)], 0.1, "one shape"),
        ([(3,), (3,)], 0.1, "one shape"),
        ([(1, 2, 3), (1, 2, 3)], 0.0, "temperature=0"),
        ([(1, 2, 3), (1, 2, 3)], 1.5, "temperature=1.5"),
    ],
)
@pytest.mark.parametrize("function", [mutual_consistency, mutual_consistency_reference])
def test_wrong_arguments(function, shapes, temperature, says):
    with pytest.raises(ValueError, match=says):
        function([torch.zeros(shape) for shape in shapes], temperature)


def test_identical_maps():
    """mcnet_plus/docs/method.md#how-to-know-it-works: one-hot maps cost nothing; equal soft maps cost K(K-1)
    equal terms."""
    one_hot = 1000.0 * torch.nn.functional.one_hot(torch.tensor([[0, 1, 1]]), 2).movedim(2, 1).float()
    loss = MutualConsistencyLoss()
    assert loss([one_hot] * 3) == 0
    soft = maps((2, 2, 9), 1)[0].detach()
    pair = loss([soft] * 2) / 2
    assert pair > 0
    torch.testing.assert_close(loss([soft] * 3), 6 * pair)
    assert loss(soft) == 0, "a network with one output has no pairs"


def test_operator_is_registered_completely(clean_memory):
    """Schema, fake kernel and autograd agree, so ``torch.compile`` and ``torch.export`` see it."""
    logits = maps((2, 2, 3, 4), dtype=torch.float32)
    for with_gradients in (True, False):
        torch.library.opcheck(module._fused, (logits, 0.1, False, with_gradients))


def test_compiled(clean_memory):
    logits = maps((2, 3, 11), dtype=torch.float32)
    compiled = torch.compile(mutual_consistency, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(
        value_and_gradients(compiled, logits), value_and_gradients(mutual_consistency, logits)
    )
