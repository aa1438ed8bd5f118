"""Dictionary transforms in MONAI's style that MONAI lacks; import from the module."""
