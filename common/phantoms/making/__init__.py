"""What several phantoms are made with: scanners, cameras, shapes, writers."""
