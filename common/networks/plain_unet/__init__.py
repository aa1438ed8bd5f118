"""The plain U-Net of nnU-Net, and the keys of its authors' checkpoints."""
