"""Import weights that authors published.

    python -m common.checkpoints import --bundle cotr --source model_final_checkpoint.model

reads a checkpoint as the authors published it, renames its keys (``<bundle>/checkpoint.py``), says which keys
are missing or left over, and writes ``models/model.pt`` of the bundle.
"""

from __future__ import annotations

import sys

from common.checkpoints.authors import import_checkpoint
from common.errors import show_input_errors_as_one_line


def _main() -> None:
    import fire

    show_input_errors_as_one_line()
    fire.Fire({"import": import_checkpoint}, name="python -m common.checkpoints")


if __name__ == "__main__":
    sys.exit(_main())
