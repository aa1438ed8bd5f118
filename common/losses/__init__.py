"""Losses that several bundles share."""
