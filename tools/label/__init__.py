"""Serve bundles to 3D Slicer with MONAI Label: ``make label``."""
