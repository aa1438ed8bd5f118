"""PraNet."""
