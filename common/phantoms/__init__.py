"""Small synthetic data sets in the real file formats, made on first use."""

from common.phantoms.abdomen import abdomen

__all__ = ["abdomen"]
