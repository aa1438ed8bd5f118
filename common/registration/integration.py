"""From a stationary velocity field to a displacement: scaling and squaring.

Source: Arsigny et al., A Log-Euclidean Framework for Statistics on Diffeomorphisms, MICCAI 2006; Dalca et
al., Unsupervised Learning for Fast Probabilistic Diffeomorphic Registration, MICCAI 2018.
"""

from torch import Tensor

from common.registration.warp import warp

__all__ = ["integrate"]


def integrate(velocity: Tensor, steps: int) -> Tensor:
    """Displacement after unit time along a velocity that does not change with time.

    The field is divided by 2 ** steps and then composed with itself ``steps`` times; where it is smooth the
    result does not fold.  Beyond the volume the field continues with its border values.

    Args:
        velocity: (B, d, *S), voxels per unit time.
        steps: 7 is usual; 0 gives the velocity itself, a plain displacement.

    Raises:
        ValueError: ``steps`` is below 0.
    """
    if steps < 0:
        raise ValueError(f"integrate: steps={steps}; expected a whole number from 0")
    displacement = velocity / 2**steps
    for _ in range(steps):
        displacement = displacement + warp(displacement, displacement, padding="border")
    return displacement
