"""Test-time adaptation: what adapts to each image of a stream; import from the module."""
