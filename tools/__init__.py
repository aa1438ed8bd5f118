"""Commands around the collection that are no part of a bundle."""
