"""dataset.json: reading, writing, and which of its cases a run takes."""
