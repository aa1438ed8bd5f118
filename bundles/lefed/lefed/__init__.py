"""LeFeD: learning from the feature discrepancy of two decoders, semi-supervised (IEEE TMI 2025)."""
