"""SegRap2023: organs at risk and tumour volumes of the head and neck in paired CT (Luo et al. 2025)."""
