"""The trainings whose weights are there, and their mean for a scan: banet_abdomen/docs/method.md#ensemble.

Axes: B batch, C image channels, K classes, *S the grid of a network, each with its own spacing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, MapTransform, Orientationd
from torch import Tensor, nn
from tqdm import tqdm

from common.checkpoints.folds import fold_weights, shown_weights, weights_to_average
from common.checkpoints.staging import PLAN
from common.checkpoints.store import load_weights, require_weights
from common.datasets.lists.modalities import modality_of_case
from common.datasets.plan.modalities import of_modality, planned_modalities, schemes_for
from common.datasets.plan.plan import load_plan
from common.errors import InputError
from common.inference.ensemble import WeightsEnsembleInferer
from common.inference.own_grid import own_grid
from common.inference.votes import Vote
from common.processes import rank
from common.tensors.plain import plain
from common.transforms.planned import PlannedIntensityd, planned_spacing

__all__ = ["Models", "ModelsVoted", "NothingYet", "prepared_by"]

logger = logging.getLogger(__name__)

FULL = "full"


def _files_to_average(weights: str | Path, ensemble: str | Sequence[str | Path] | None = None) -> list[Path]:
    """The weights files of one training, as :func:`common.checkpoints.folds.weights_to_average` has them.

    Args:
        weights: ``model.pt``, with the folds beside it.
        ensemble: as there; but where there are no folds, "folds" takes what there is.

    Raises:
        InputError: as there.
    """
    if ensemble == "folds" and not fold_weights(Path(weights).parent):
        return weights_to_average(weights)
    return weights_to_average(weights, ensemble)


def prepared_by(plan: Mapping[str, Any]) -> Compose:
    """What makes ``{"image": (C, D, H, W)}`` of ``{"image": FILE, "modality": NAME}``, as in the training."""
    return Compose(
        [
            LoadImaged("image"),
            EnsureChannelFirstd("image"),
            Orientationd("image", axcodes="SPL", labels=None),
            planned_spacing("image", plan["spacing"], by_original=True),
            PlannedIntensityd("image", plan["intensity"]),
        ]
    )


class _Model:
    """The network of one training, with its weights and its plan."""

    def __init__(
        self,
        name: str,
        files: Sequence[Path],
        network: nn.Module,
        inferer: Callable[..., Inferer],
        device: torch.device,
        bundle: str,
        default_plan: Mapping[str, Any] | None,
        published: bool,
    ) -> None:
        self.name, self.files, self.device = name, files, device
        self.plan = _plan(files[0], default_plan, published)
        self.preprocessing = prepared_by(self.plan)
        self.network = network.to(device).eval()
        for file in files:  # a fold's weights of another network are named before anything is predicted
            load_weights(self.network, file, bundle=bundle)
        windows = inferer(roi_size=self.plan["patch_size"], mirror_axes=self.plan["mirror_axes"])
        self.inferer = WeightsEnsembleInferer(windows, files, bundle=bundle)

    def takes(self, modality: str) -> bool:
        """Whether it was trained on such scans."""
        return modality in (planned_modalities(self.plan) or [modality])

    def predict(self, file: str, modality: str) -> tuple[MetaTensor, Tensor]:
        """The scan as the network sees it, (C, *S), and its class probabilities (K, *S)."""
        image = self.preprocessing({"image": file, "modality": modality})["image"]
        with torch.no_grad():
            found = self.inferer(plain(image)[None].to(self.device), self.network)
        return image, plain(found)[0]


def _plan(weights: Path, default: Mapping[str, Any] | None, published: bool) -> dict[str, Any]:
    plan = load_plan(weights.with_name(PLAN), dict(default or {}), weights=weights, published=published)
    if not plan:
        raise InputError(
            f"{weights}: comes with no {PLAN} beside it, so nothing says how a scan is prepared for it; put "
            "there the one that was written with the weights"
        )
    return plan


class Models:
    """The trainings whose weights are there.

    Args:
        settings: name -> ``weights``, the file of a single training, perhaps with folds beside it or in its
            place, ``network``, which makes the network, and perhaps ``default_plan``, that of published
            weights.
        average: modality -> names of the settings whose probabilities are averaged for such a scan, each with
            the same weight; those without weights are left out.
        inferer: makes the inferer of a plan, given ``roi_size`` and ``mirror_axes``.
        bundle: whose weights they are.
        ensemble: as in :func:`common.checkpoints.folds.weights_to_average`; "folds" is for the settings that
            have some, and listed files are those of the setting "full".
        device: to predict on.
        published: take ``default_plan`` for weights that come with no plan.

    Raises:
        InputError: weights do not fit their network or come without a plan, or ``average`` names a setting
            that there is not.
    """

    def __init__(
        self,
        settings: Mapping[str, Mapping[str, Any]],
        average: Mapping[str, Sequence[str]],
        *,
        inferer: Callable[..., Inferer],
        bundle: str,
        ensemble: str | Sequence[str | Path] | None = None,
        device: torch.device | str = "cpu",
        published: bool = False,
    ) -> None:
        unknown = {name for names in average.values() for name in names} - set(settings)
        if unknown:
            raise InputError(f"average: no setting {sorted(unknown)[0]!r}; expected {', '.join(settings)}")
        self.weights = {name: Path(one["weights"]) for name, one in settings.items()}
        self.average, self.bundle = {name.upper(): list(names) for name, names in average.items()}, bundle
        wanted = [name for name in settings if any(name in names for names in average.values())]
        of_each = dict.fromkeys(wanted, ensemble if ensemble == "folds" else None) | {FULL: ensemble}
        self.found = {
            name: _Model(
                name,
                _files_to_average(self.weights[name], of_each[name]),
                settings[name]["network"](),
                inferer,
                torch.device(device),
                bundle,
                settings[name].get("default_plan"),
                published,
            )
            for name in wanted
            if of_each[name] not in (None, "folds") or _has_weights(self.weights[name])
        }
        for modality in self.average:
            _warn_of_other_names(modality, self.of(modality))

    def of(self, modality: str) -> list[_Model]:
        """Those that are averaged for a scan of this modality, in capitals."""
        names = self.average.get(modality, [])
        return [self.found[name] for name in names if name in self.found and self.found[name].takes(modality)]

    @property
    def files(self) -> list[Path]:
        """The weights of the first setting that has some, whose plan names the classes."""
        return next((list(model.files) for model in self.found.values()), [self.weights[FULL]])

    @property
    def plan(self) -> dict[str, Any]:
        """Modalities and intensity schemes of what can be predicted; empty without weights."""
        schemes = {
            name: schemes_for(models[0].plan, name) for name in self.average if (models := self.of(name))
        }
        if len(schemes) == 1:
            ((name, of_channels),) = schemes.items()
            return {"modality": name, "intensity": of_channels}
        return {"intensity": schemes} if schemes else {}

    def require(self) -> None:
        """Say which weights are averaged for which scans.

        Raises:
            InputError: there are none, or none for a modality that ``average`` names.
        """
        if not self.plan:
            self._refuse()
        for modality in self.average if rank() == 0 else ():
            used = [f"{model.name} ({_shown(model.files)})" for model in self.of(modality)]
            tqdm.write(f"{modality}: {'mean of ' if len(used) > 1 else ''}{', '.join(used) or 'no weights'}")

    def _refuse(self) -> None:
        for model in self.found.values():
            modality = planned_modalities(model.plan)[0]
            raise InputError(
                f"average: has {' and '.join(self.average)}, and {model.files[0]} was trained on {modality}: "
                f"say what predicts it, such as  --average \"{{'{modality}': ['{model.name}']}}\""
            )
        require_weights(self.weights[FULL], bundle=self.bundle)
        wanted = list(dict.fromkeys(name for names in self.average.values() for name in names))
        files = ", ".join(str(self.weights[name].parent) for name in wanted)
        raise InputError(f"average: no weights of {', '.join(wanted)} ({files}): train them, or name others")


def _has_weights(file: Path) -> bool:
    return file.is_file() or bool(fold_weights(file.parent))


def _warn_of_other_names(modality: str, models: Sequence[_Model]) -> None:
    """Probabilities are averaged by the number of the class, whatever it is called."""
    for model in models[1:]:
        first, own = models[0].plan["labels"], model.plan["labels"]
        for value in sorted({*first} & {*own}, key=int):
            if value != "0" and first[value] != own[value]:
                logger.warning(
                    "%s: label %s is %s in %s and %s in %s: they are averaged by their numbers; "
                    "leave one out with --average if they are two structures",
                    modality, value, first[value], models[0].files[0], own[value], model.files[0],
                )  # fmt: skip
                break


def _shown(files: Sequence[Path]) -> str:
    return shown_weights(files) if len(files) > 1 else str(files[0])


class NothingYet(Inferer):
    """No channels: what the evaluator takes for a prediction until :class:`ModelsVoted` predicts."""

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """(B, C, *S) to (B, 0, *S)."""
        return inputs[:, :0]


class ModelsVoted(MapTransform):
    """Predict a case with the models of its modality, for ``DecideOnOwnGridd`` to average.

    The first one's probabilities become ``pred``, and ``image`` the scan as it saw it; those of the others
    are votes under ``further``.  A ``pred`` that has channels counts as that of the setting "full", as where
    a program applied ``network_def``.

    Args:
        keys: ``pred``.
        models: that there are.
    """

    def __init__(self, keys: str, models: Models) -> None:
        super().__init__(keys)
        self.models = models

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Let every model predict.

        Raises:
            InputError: no model takes such a scan, or nothing says which ones do.
        """
        result = dict(data)
        file = result["image"].meta["filename_or_obj"]
        known = planned_modalities(self.models.plan)
        modality = modality_of_case(data) or (known[0] if len(known) == 1 else "")
        of_modality(dict.fromkeys(known), modality, str(file))
        models = self.models.of(modality)
        for key in self.key_iterator(result):
            votes = [model for model in models if not (len(result[key]) and model.name == FULL)]
            predictions = [model.predict(file, modality) for model in votes]
            if not len(result[key]):
                (result["image"], result[key]), *predictions = predictions
            result["further"] = [Vote(found, own_grid(image)) for image, found in predictions]
        return result
