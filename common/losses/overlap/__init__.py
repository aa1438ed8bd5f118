"""Losses on the overlap of prediction and reference."""
