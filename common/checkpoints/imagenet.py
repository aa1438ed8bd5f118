"""Start an encoder from ImageNet weights in a file: nothing is fetched here.

For :class:`monai.networks.nets.resnet.ResNet` and :class:`common.networks.res2net.network.Res2Net` the
public files fit as they are: a state dict of PyTorch (``resnet34-b627a593.pth`` as ``torch.hub`` keeps it,
``res2net50_v1b_26w_4s-3cf99910.pth``) or ``.safetensors``.
"""

from __future__ import annotations

import logging
from pathlib import Path

from torch import nn

from common.checkpoints.authors import rename_keys
from common.checkpoints.store import load_state, read_checkpoint, state_of

__all__ = ["start_encoder"]

logger = logging.getLogger(__name__)

_COUNTER = "num_batches_tracked"


def start_encoder(encoder: nn.Module, weights: str | Path | None) -> str:
    """Copy ImageNet weights into an encoder, and log what was done.

    Args:
        encoder: receives the weights in place; its keys are those of the file without the classifier.
        weights: the file; None leaves the encoder at its random weights.

    Returns:
        What was done, in one line, as logged.

    Raises:
        InputError: no such file, no weights in it, or weights of another network.
    """
    if weights is None:
        told = (
            "the encoder starts from random weights; the paper starts from ImageNet's: give a file of them "
            "with --imagenet_weights FILE (.pth or .safetensors)"
        )
        logger.warning(told)
        return told
    path = Path(weights)
    state = rename_keys(state_of(read_checkpoint(path), path), [(r"^module\.", "")])
    classifier = [key for key in state if key.startswith("fc.")]
    used = {key: value for key, value in state.items() if key not in classifier}
    # Files from before PyTorch 0.4.1 lack the batch counters, which nothing here reads.
    counters = {k: v for k, v in encoder.state_dict().items() if k.endswith(_COUNTER) and k not in used}
    load_state(encoder, {**used, **counters}, path)
    told = f"the encoder starts from ImageNet weights: {len(used)} tensors of {path}"
    if classifier:
        told += f", its classifier ({', '.join(classifier)}) left out"
    logger.info(told)
    return told
