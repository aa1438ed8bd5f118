"""DivSBL: block-sparse Bayesian recovery of signals and images from few linear measurements."""
