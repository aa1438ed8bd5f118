"""GraTa: gradient alignment of two self-supervised losses, test-time adaptation (AAAI 2025)."""
