"""How a network that sees a patch is applied to a whole image; import from the module."""
