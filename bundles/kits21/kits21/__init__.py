"""The KiTS21 challenge: its scores, annotators and rankings, and a coarse-to-fine baseline."""
