"""Losses from how sure a prediction is."""
