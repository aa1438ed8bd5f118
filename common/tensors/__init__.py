"""Small helpers on plain tensors that every folder above may use."""
