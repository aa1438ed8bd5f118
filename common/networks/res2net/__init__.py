"""Res2Net."""
