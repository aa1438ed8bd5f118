"""The colours of classes and curves."""

import matplotlib

__all__ = ["COLOURS"]

COLOURS = matplotlib.colormaps["tab20"].colors
