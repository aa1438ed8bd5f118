"""Small synthetic data sets in the real file formats, made on first use."""

from common.phantoms.abdomen import abdomen
from common.phantoms.atrium import atrium
from common.phantoms.signals import signals

__all__ = ["abdomen", "atrium", "signals"]
