"""BA-Net for kidneys: one encoder, a decoder for boundaries, and one for structures that it guides."""
