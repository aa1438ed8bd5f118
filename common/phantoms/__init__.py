"""Small synthetic data sets in the real file formats, made on first use."""

from common.phantoms.abdomen import abdomen
from common.phantoms.atrium import atrium
from common.phantoms.brain_pair import brain_pair
from common.phantoms.fundus import fundus
from common.phantoms.kidneys import kidneys
from common.phantoms.polyp import polyp
from common.phantoms.prostate import prostate
from common.phantoms.signals import signals

__all__ = ["abdomen", "atrium", "brain_pair", "fundus", "kidneys", "polyp", "prostate", "signals"]
