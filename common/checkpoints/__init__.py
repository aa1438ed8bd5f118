"""Weights in files: storing our own, and importing what authors published."""
