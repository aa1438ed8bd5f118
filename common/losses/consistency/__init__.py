"""Losses from how much several predictions agree."""
