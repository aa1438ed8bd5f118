"""The KiTS21 challenge: its scores, annotators, rankings, and a coarse-to-fine baseline."""
