"""Voxel spacing, intensity scaling and labels, planned from the training cases."""
