"""Operators that are hot in a profile, each beside its eager reference; import from the module."""
