"""Weights in files: the store of ours, and the import of what authors published."""
