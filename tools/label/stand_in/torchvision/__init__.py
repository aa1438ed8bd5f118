"""Stands in for the package of this name where it cannot be imported; see :mod:`torchvision.utils`."""
