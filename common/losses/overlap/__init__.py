"""Losses from the overlap of prediction and reference."""
