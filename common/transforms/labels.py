"""Label values: renumbering the classes of a data set."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

__all__ = ["LabelMapd"]


class LabelMapd(MapTransform):
    """Replace label values; those that the map does not name are unchanged.

    Args:
        keys: label maps of any shape.
        label_map: {from: to}; keys may be strings, as JSON writes them.
        allow_missing_keys: pass cases without the key.
    """

    def __init__(
        self, keys: KeysCollection, label_map: Mapping[int | str, int], allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.label_map = {int(old): int(new) for old, new in label_map.items()}

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Replace in every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            if self.label_map:
                label = result[key]
                mapped = label.clone()
                for old, new in self.label_map.items():
                    mapped[label == old] = new
                result[key] = mapped
        return result
