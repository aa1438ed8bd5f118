"""The U-Net of the PyMIC toolkit, and the keys of its checkpoints."""
