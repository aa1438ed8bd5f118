"""MC-Net+: mutual consistency of several decoders for semi-supervised segmentation (MedIA 2022)."""
