"""Metrics, one value per case and class."""
