"""Building blocks: each module holds one idea; import from the module."""
