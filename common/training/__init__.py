"""Handlers and helpers around MONAI's trainers; import from the module."""
