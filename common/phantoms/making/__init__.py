"""What several phantoms are made with: scanners, cameras, shapes, writing."""
