"""The phantom ``kidneys``: arterial CT with kidneys, tumors and cysts, by three annotators."""

from common.phantoms.kidneys.dataset import make

__all__ = ["make"]
