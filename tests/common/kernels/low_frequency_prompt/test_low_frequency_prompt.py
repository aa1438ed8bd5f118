"""The prompt as a sum of few frequencies: values and gradients of the two transforms."""

from __future__ import annotations

import pytest
import torch

from benchmarks.speed.memory import peak_bytes
from common.kernels import low_frequency_prompt as module
from common.kernels.low_frequency_prompt import (
    low_frequencies,
    low_frequency_prompt,
    low_frequency_prompt_reference,
)
from common.tensors.fourier import amplitude_and_phase, low_frequency_window

SHAPES = {
    "square": ((1, 3, 64, 64), 5),
    "odd": ((2, 3, 31, 17), 3),
    "flat": ((1, 1, 8, 40), 8),
    "one frequency": ((2, 2, 12, 12), 1),
    "one pixel": ((1, 3, 1, 1), 1),
}


def drawn(shape, side, *, dtype=torch.float32, prompts=1):
    g = torch.Generator().manual_seed(0)
    image = torch.rand(shape, generator=g, dtype=dtype)
    prompt = 1 + 0.5 * torch.randn(prompts, shape[1], side, side, generator=g, dtype=dtype)
    return image, prompt.requires_grad_(), torch.randn(shape, generator=g, dtype=dtype)


def compare(shape, side, tolerance, **settings):
    image, prompt, cotangent = drawn(shape, side, **settings)
    ours, theirs = low_frequency_prompt(image, prompt), low_frequency_prompt_reference(image, prompt)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)
    gradients = [torch.autograd.grad(out, prompt, cotangent)[0] for out in (ours, theirs)]
    largest = gradients[1].abs().max().item()
    torch.testing.assert_close(*gradients, rtol=0, atol=tolerance * max(largest, 1))


@pytest.mark.parametrize(("shape", "side"), SHAPES.values(), ids=SHAPES.keys())
def test_equals_the_definition_with_gradients(shape, side):
    compare(shape, side, 1e-5)
    compare(shape, side, 1e-12, dtype=torch.float64)


def test_one_prompt_per_sample():
    compare((3, 2, 16, 12), 4, 1e-5, prompts=3)


def test_equals_the_definition_at_the_published_size():
    """512 x 512, where a sum over 262144 pixels has the most rounding."""
    compare((1, 3, 512, 512), 5, 1e-5)


def test_gradients_are_those_of_finite_differences():
    image, prompt, _ = drawn((2, 2, 6, 5), 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(low_frequency_prompt, [image.requires_grad_(), prompt])


def test_coefficients_equal_the_full_transforms():
    image, _, _ = drawn((2, 3, 20, 15), 4)
    whole = torch.fft.fftshift(torch.fft.fft2(image), dim=(-2, -1))
    torch.testing.assert_close(
        low_frequencies(image, 4), low_frequency_window(whole, 4), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("apply", [low_frequency_prompt, low_frequency_prompt_reference])
def test_ones_return_the_image(apply):
    image, prompt, _ = drawn((2, 3, 33, 64), 5)
    torch.testing.assert_close(apply(image, torch.ones_like(prompt)), image, rtol=0, atol=1e-5)


def test_a_symmetric_window_changes_amplitudes_inside_it_alone():
    """With odd sides the product has no imaginary part, so that taking the real part loses nothing."""
    image, _, _ = drawn((1, 1, 33, 31), 3, dtype=torch.float64)
    factors = torch.tensor([[2.0, 0.5, 3.0], [0.7, 1.5, 0.7], [3.0, 0.5, 2.0]], dtype=torch.float64)
    before, after = (
        amplitude_and_phase(x) for x in (image, low_frequency_prompt(image, factors[None, None]))
    )
    expected = before[0].clone()
    low_frequency_window(expected, 3).mul_(factors)
    torch.testing.assert_close(after[0], expected)
    torch.testing.assert_close(after[1].cos(), before[1].cos())
    torch.testing.assert_close(after[1].sin(), before[1].sin())


def test_known_coefficients_are_not_computed_again(monkeypatch):
    image, prompt, _ = drawn((1, 3, 16, 16), 3)
    expected = low_frequency_prompt(image, prompt)
    coefficients = low_frequencies(image, 3)
    monkeypatch.setattr(module, "low_frequencies", None)
    torch.testing.assert_close(low_frequency_prompt(image, prompt, coefficients), expected)


def test_half_precision_stays_half_precision():
    image, prompt, _ = drawn((1, 3, 32, 32), 3)
    out = low_frequency_prompt(image.half(), prompt)
    assert out.dtype == torch.float16
    torch.testing.assert_close(out.float(), low_frequency_prompt(image, prompt), rtol=2e-3, atol=2e-3)


def test_takes_an_image_that_is_not_contiguous():
    image, prompt, _ = drawn((1, 3, 16, 24), 3)
    turned = image.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(low_frequency_prompt(turned, prompt), low_frequency_prompt(image, prompt))


def test_the_images_spectrum_is_never_stored():
    image, prompt, _ = drawn((1, 3, 256, 256), 5)

    def peak(apply):
        with torch.no_grad():
            return peak_bytes(lambda: apply(image, prompt))

    assert peak(low_frequency_prompt) < 2 * image.nbytes
    assert peak(low_frequency_prompt_reference) > 4 * image.nbytes


def test_environment_selects_the_reference(monkeypatch):
    image, prompt, _ = drawn((1, 3, 16, 16), 3)
    expected = low_frequency_prompt(image, prompt)
    monkeypatch.setenv("COMMON_KERNELS", "eager")
    monkeypatch.setattr(module, "low_frequencies", None)
    torch.testing.assert_close(low_frequency_prompt(image, prompt), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("apply", [low_frequency_prompt, low_frequency_prompt_reference])
def test_sizes_that_do_not_fit_are_named(apply):
    image = torch.zeros(1, 3, 8, 8)
    for prompt in (torch.ones(1, 2, 3, 3), torch.ones(1, 3, 9, 9), torch.ones(2, 3, 3, 3)):
        with pytest.raises(ValueError, match=r"prompt has shape \["):
            apply(image, prompt)


@pytest.mark.usefixtures("clean_memory")
def test_compiles_without_a_break():
    image, prompt, _ = drawn((1, 3, 16, 16), 3)
    compiled = torch.compile(low_frequency_prompt, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(image, prompt), low_frequency_prompt(image, prompt))
