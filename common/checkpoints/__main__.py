"""Published weights: list them, import them, and check that they score as published.

    python -m common.checkpoints sources mcnet_plus
    python -m common.checkpoints import --bundle cotr --source model_final_checkpoint.model
    python -m common.checkpoints accept mcnet_plus --la2018 LA2018

``import`` reads a checkpoint as its authors published it, from a file or a link, renames its keys
(``<bundle>/checkpoint.py``), says which keys are missing or left over, and writes ``models/model.pt`` of the
bundle and the plan that the weights need.
"""

from __future__ import annotations

from common.checkpoints.acceptance import accept
from common.checkpoints.importing import import_checkpoint
from common.checkpoints.published import sources
from common.commands import run_commands

if __name__ == "__main__":
    commands = {"sources": sources, "import": import_checkpoint, "accept": accept}
    run_commands(commands, name="python -m common.checkpoints")
