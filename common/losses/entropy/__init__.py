"""Losses on how certain a prediction is."""
