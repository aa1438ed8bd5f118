"""EASR-DCN: registration by regions of interest and a divide-and-conquer network (IEEE J-BHI 2025)."""
