"""Losses on how much several predictions agree."""
