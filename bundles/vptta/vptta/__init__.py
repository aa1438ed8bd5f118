"""VPTTA: a low-frequency prompt for each test image, continual test-time adaptation (CVPR 2024)."""
