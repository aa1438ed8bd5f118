"""What stands in for training: a sweep over preset block sizes, one per epoch, alongside the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from torch import Tensor, nn

from common.errors import InputError
from common.tensors.plain import plain
from divsbl.metrics import normalized_error
from divsbl.recovery import LinearRecovery

__all__ = ["BlockSizeSweep", "errors_of"]


class BlockSizeSweep(SupervisedTrainer):
    """In epoch e every method recovers the training signals with the e-th block size.

    Nothing is optimised.  The output of an iteration has ``image``, ``label``, ``pred``, ``loss`` (the mean
    NMSE of the network) and ``errors``, the NMSE (B,) of each method by name.  A baseline without
    ``set_block_size`` uses no blocks, so it runs in the first epoch only, and so does one with a fixed size.
    One that says ``takes_truth`` is told the true signal.

    Args:
        block_sizes: one for each epoch.
        baselines: name -> another recovery, which is given the network's operator and basis.
        fixed_block_sizes: names of baselines that keep the block size they were built with.
        network_name: key of the network's own error in ``errors``.
        root: take square roots of the NMSE, as the paper does for pictures.
        kwargs: passed to MONAI's SupervisedTrainer.

    Raises:
        InputError: there are more epochs than block sizes, or no such baseline.
    """

    def __init__(
        self,
        *,
        block_sizes: Sequence[int],
        baselines: Mapping[str, LinearRecovery],
        fixed_block_sizes: Sequence[str] = (),
        network_name: str = "divsbl",
        root: bool = False,
        **kwargs: Any,
    ) -> None:
        self.block_sizes = list(block_sizes)
        self.baselines, self.network_name = dict(baselines), network_name
        self.root, self.fixed = root, set(fixed_block_sizes)
        if strangers := sorted(self.fixed - self.baselines.keys()):
            raise InputError(
                f"fixed_block_sizes: {', '.join(strangers)} is no baseline; expected names out of "
                f"{', '.join(self.baselines) or '(there is none)'}"
            )
        super().__init__(optimizer=None, loss_function=normalized_error, **kwargs)
        if self.state.max_epochs > len(self.block_sizes):
            raise InputError(
                f"epochs = {self.state.max_epochs}, but block_sizes = {self.block_sizes} has "
                f"{len(self.block_sizes)}; an epoch is one block size: leave --epochs out, or give more sizes"
            )

    @property
    def block_size(self) -> int:
        """The block size of the current epoch."""
        return self.block_sizes[self.state.epoch - 1]

    @torch.no_grad()
    def _iteration(self, engine: SupervisedTrainer, batchdata: dict[str, Tensor]) -> dict[str, Any]:
        image, label, _, operator = engine.prepare_batch(
            batchdata, engine.state.device, engine.non_blocking, **engine.to_kwargs
        )
        image, label = plain(image), plain(label)
        network = getattr(engine.network, "module", engine.network).eval()
        self._set_block_size(network)
        pred = engine.inferer(image, network, **operator)
        errors = {self.network_name: normalized_error(pred, label, root=self.root)}
        for name, baseline in self.baselines.items():
            if (told := self._is_told(name)) or engine.state.epoch == 1:
                self._prepare(baseline.to(image.device), network, told=told)
                known = {"truth": label} if getattr(baseline, "takes_truth", False) else {}
                errors[name] = normalized_error(baseline(image, **operator, **known), label, root=self.root)
        loss = torch.nanmean(errors[self.network_name])
        engine.state.output = {"image": image, "label": label, "pred": pred, "loss": loss, "errors": errors}
        return engine.state.output

    def _is_told(self, name: str) -> bool:
        """Whether a baseline takes the epoch's block size."""
        return hasattr(self.baselines[name], "set_block_size") and name not in self.fixed

    def _prepare(self, baseline: nn.Module, network: nn.Module, *, told: bool) -> None:
        """Give a baseline the network's operator and, if it is told, this epoch's block size."""
        if told:
            self._set_block_size(baseline)
        if isinstance(network, LinearRecovery):
            baseline.phi, baseline.psi = network.phi, network.psi

    def _set_block_size(self, method: nn.Module) -> None:
        if hasattr(method, "set_block_size"):
            try:
                method.set_block_size(self.block_size)
            except ValueError as error:
                raise InputError(f"block_sizes = {self.block_sizes}: {error}") from error


def errors_of(output: Mapping[str, Any]) -> dict[str, float]:
    """Mean NMSE of each method in an iteration, for TensorBoard."""
    return {f"nmse_{name}": float(torch.nanmean(values)) for name, values in output["errors"].items()}
