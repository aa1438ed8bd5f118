"""Pictures of results: contours over images, and curves."""
