"""CoTr: CNN and deformable transformer for 3D segmentation (MICCAI 2021)."""
