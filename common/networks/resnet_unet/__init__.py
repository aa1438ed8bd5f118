"""The U-Net over a ResNet encoder, and its authors' checkpoints."""
