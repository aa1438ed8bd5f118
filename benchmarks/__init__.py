"""Speed and memory of what Method Zoo wrote for speed, against the direct published path."""
