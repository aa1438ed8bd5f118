"""Dictionary transforms in MONAI's manner that MONAI does not have; import from the module."""
