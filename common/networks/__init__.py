"""Networks that several bundles are built from."""
