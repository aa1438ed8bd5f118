"""Test-time adaptation to each image of a stream; import from the modules."""
