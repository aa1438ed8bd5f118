"""``--tracking mlflow``: three places where what MONAI adds to a config does not fit it.

MONAI 1.6.1 appends its handlers before a run.  They take the loss from a list of outputs, which a trainer
with ``decollate: false`` does not give; and where ``output_dir`` is plain text, as on a command line, the
path of the saved config becomes an expression without its ``$``, so that it is never found; and a folder
with a space in its name gets its artifacts in another folder, with %20 in its name.
"""

from __future__ import annotations

import os
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

__all__ = ["fit_tracking"]

_LOSS = "$lambda output: (output[0] if isinstance(output, list) else output)['loss'].item()"
_ARTIFACTS = "$monai.utils.path_to_uri(@output_dir + '/mlruns')"
_LOCAL = DEFAULT_MLFLOW_SETTINGS["configs"]["tracking_uri"]


def fit_tracking(parser: ConfigParser) -> None:
    """Correct them in a config that tracks, before anything of it is built, since it is parsed again."""
    config = parser.get()
    saved = config.get("save_execute_config")
    if not isinstance(saved, str):
        return
    if not saved.startswith("$") and " + '/" in saved:
        folder, _, name = saved.rpartition(" + '/")
        config["save_execute_config"] = f"{folder}/{name.removesuffix(chr(39))}"
    local = config.get("tracking_uri") == _LOCAL and "MLFLOW_TRACKING_URI" not in os.environ
    for handler in _handlers(config):
        if local:
            handler.setdefault("artifact_location", _ARTIFACTS)
        if "from_engine(['loss']" in str(handler.get("output_transform")):
            handler["output_transform"] = _LOSS
    parser.ref_resolver.reset()


def _handlers(config: dict[str, Any]) -> list[dict[str, Any]]:
    lists = [
        part.get("handlers", []) for part in (config, config.get("train", {}), config.get("validate", {}))
    ]
    return [
        one
        for handlers in lists
        if isinstance(handlers, list)
        for one in handlers
        if isinstance(one, dict) and one.get("_target_") == "MLFlowHandler"
    ]
