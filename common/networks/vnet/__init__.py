"""The V-Net, and its authors' checkpoints."""
