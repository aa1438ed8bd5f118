"""Warp, similarity and smoothness compute what the authors' functions compute, gradients included."""

from __future__ import annotations

from common.registration.local_correlation import LocalCorrelationLoss
from common.registration.smoothness import SmoothnessLoss
from common.registration.warp import warp
from tests.vectors import load


def computed(vector, *, direct):
    moving, fixed = vector.inputs["moving"], vector.inputs["fixed"]
    flow = vector.inputs["flow"].clone().requires_grad_()
    similarity, warped = LocalCorrelationLoss(direct=direct), warp(moving, flow)
    ncc, smooth = similarity(warped, fixed), SmoothnessLoss()(flow)
    (ncc + smooth).backward()
    above = (moving > moving.mean()).float()
    return {
        "warped": warped,
        "warped_published_modern_default": warp(moving, flow, align_corners=False),
        "warped_label_nearest": warp(above, flow, mode="nearest"),
        "ncc": ncc[None],
        "ncc_self": similarity(fixed, fixed)[None],
        "smooth": smooth[None],
        "grad_flow": flow.grad,
    }


def fitted(vector, values):
    """Scalars in the vector may have no axis."""
    return {key: value.reshape(vector.outputs[key].shape) for key, value in values.items()}


def test_published_order_of_the_sums():
    vector = load("easr_dcn_warp_losses")
    vector.compare(fitted(vector, computed(vector, direct=True)))


def test_short_sums_equal_those_in_float64():
    """The default differs from the published only by the latter's rounding
    (easr_dcn/docs/method.md#known-errors-of-the-published-code)."""
    vector = load("easr_dcn_warp_losses")
    vector.compare(fitted(vector, computed(vector, direct=False)), rtol=2e-3)
    single = computed(vector, direct=False)
    vector.inputs.update({key: value.double() for key, value in vector.inputs.items()})
    double = computed(vector, direct=True)
    for key in ("ncc", "grad_flow"):
        error = (single[key] - double[key]).abs().max() / double[key].abs().max()
        assert error < 5e-5, key
