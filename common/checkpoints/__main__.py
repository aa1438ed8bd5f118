"""Import weights that authors published.

    python -m common.checkpoints import --bundle cotr --source model_final_checkpoint.model

reads a checkpoint as the authors published it, renames its keys (``<bundle>/checkpoint.py``), says which keys
are missing or left over, and writes ``models/model.pt`` of the bundle.
"""

from __future__ import annotations

from common.checkpoints.authors import import_checkpoint
from common.commands import run_commands

if __name__ == "__main__":
    run_commands({"import": import_checkpoint}, name="python -m common.checkpoints")
