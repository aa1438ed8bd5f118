"""Small synthetic data sets in the real file formats, made on first use: ``common.phantoms.abdomen.make``."""
