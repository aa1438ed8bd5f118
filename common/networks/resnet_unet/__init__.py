"""The U-Net with a ResNet encoder, and its authors' checkpoints."""
