"""TriD: random feature styles for multi-source domain generalisation (MICCAI 2023)."""
