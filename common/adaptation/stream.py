"""What all test-time methods share: images come one by one, and each is adapted to before it is predicted.

A method is a MONAI inferer, so that an evaluator, ``evaluate.json`` and MONAI Label need nothing special.
"""

from __future__ import annotations

import copy
import logging
import weakref
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.utils import convert_to_dst_type
from torch import Tensor, nn

from common.adaptation.working_copy import place_of_weights
from common.errors import InputError
from common.tensors.plain import plain

__all__ = ["StreamInferer"]

logger = logging.getLogger(__name__)


class StreamInferer(Inferer):
    """Adapts to each image of a stream, then predicts it.

    The network is not changed: methods work on a copy that shares its weights, and hold what they learn.
    A subclass implements ``build``, ``begin``, ``adapt_and_predict``, ``own_state`` and ``restore_own``.

    Attributes:
        images: number of images since the start of the stream or its last reset.
    """

    def __init__(self) -> None:
        self.images = 0
        self._place: tuple[int, ...] | None = None  # of the network's weights when the copy was made
        self._network: weakref.ref | None = None
        self._begun = False
        self._waiting: Mapping[str, Any] | None = None  # a state to begin with

    @abstractmethod
    def build(self, network: nn.Module, image: Tensor) -> None:
        """Make the working copy of a network, and whatever depends on it and on the image's device."""

    @abstractmethod
    def begin(self) -> None:
        """Set what the method learns to its state at the start of a stream."""

    @abstractmethod
    def adapt_and_predict(self, image: Tensor) -> Tensor:
        """(1, C, H, W) to logits (1, K, H, W); gradients are enabled, ``images`` counts this one."""

    @abstractmethod
    def own_state(self) -> dict[str, Any]:
        """What the method has learnt, as tensors, numbers, and lists and dictionaries of these."""

    @abstractmethod
    def restore_own(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`own_state` returned."""

    def __call__(self, inputs: Tensor, network: nn.Module) -> Tensor:
        """Adapt to, and predict, each image of a batch in turn.

        Args:
            inputs: (B, C, H, W); several images are taken as a stream, in order.
            network: (B, C, H, W) to logits (B, K, H, W), with batch norm.

        Returns:
            Logits (B, K, H, W), without gradient.

        Raises:
            InputError: the network has nothing to adapt, or the loaded state does not fit.
        """
        with torch.inference_mode(False), torch.enable_grad():
            images = plain(inputs).detach()
            images = images.clone() if images.is_inference() else images
            self._prepare(network, images)
            logits = torch.cat([self._one(image) for image in images.split(1)])
        if isinstance(inputs, MetaTensor):
            return convert_to_dst_type(logits, inputs, dtype=logits.dtype, device=logits.device)[0]
        return logits

    def _one(self, image: Tensor) -> Tensor:
        self.images += 1
        return self.adapt_and_predict(image).detach()

    def _prepare(self, network: nn.Module, image: Tensor) -> None:
        place = place_of_weights(network)
        if place != self._place:
            self._change(network)
            self.build(network, image)
            self._place, self._network = place, weakref.ref(network)
        if not self._begun:
            self.begin()
            self._begun = True
            self._restore()

    def _change(self, network: nn.Module) -> None:
        if self._network is None or not self._begun:
            return
        if self._network() is network:  # moved to another device
            self.load_state_dict(self.state_dict())
        else:
            logger.warning("another network than before: the stream begins anew")
            self.reset()

    def reset(self) -> None:
        """Forget everything learnt; the next image counts as the first."""
        self.images, self._begun, self._waiting = 0, False, None

    def state_dict(self) -> dict[str, Any]:
        """A copy of the stream's state; before the first image, the loaded state or an empty one."""
        if not self._begun:
            return dict(self._waiting or {})
        return {"method": type(self).__name__, "images": self.images, **copy.deepcopy(self.own_state())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was taken.  Whether it fits is checked at the next image.

        Raises:
            InputError: the state belongs to another method.
        """
        if state and state.get("method") != type(self).__name__:
            raise InputError(
                f"state of a stream: is of {state.get('method', 'no method')}; expected {type(self).__name__}"
            )
        self.reset()
        self._waiting = copy.deepcopy(dict(state)) if state else None

    def _restore(self) -> None:
        if self._waiting is None:
            return
        state, self._waiting = self._waiting, None
        try:
            self.restore_own(state)
            self.images = _counted(state["images"])
        except Exception as error:  # each method raises what it likes about a state of another kind
            reason = (str(error).strip() or "no reason given").splitlines()[0]
            raise InputError(
                f"state of a stream: it does not fit this config ({type(error).__name__}: {reason}); "
                "go on with the settings that the stream began with"
            ) from error


def _counted(images: Any) -> int:
    if type(images) is not int or images < 0:
        raise ValueError(f"images = {images!r} is no number of images")
    return images
