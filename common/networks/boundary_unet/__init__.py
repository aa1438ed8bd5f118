"""BA-Net: a U-Net with a second decoder that finds boundaries and guides the first, and its authors' keys."""
