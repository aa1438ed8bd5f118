"""Bounded, resumable downloads: connections, files, and what a full disk says."""
