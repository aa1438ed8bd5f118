"""Metrics, baselines, tables and pictures."""
