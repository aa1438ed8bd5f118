"""``--tracking mlflow``: two places where what MONAI adds to a config does not fit it.

MONAI 1.6.1 appends its handlers before a run.  They take the loss from a list of outputs, which a trainer
with ``decollate: false`` does not make; and where ``output_dir`` is plain text, as on a command line, the
path of the saved config becomes an expression without its ``$``, so that it is never found.
"""

from __future__ import annotations

from typing import Any

from monai.bundle import ConfigParser

__all__ = ["fit_tracking"]

_LOSS = "$lambda output: (output[0] if isinstance(output, list) else output)['loss'].item()"


def fit_tracking(parser: ConfigParser) -> None:
    """Put both right in a config that tracks; before anything of it is built, since it is parsed anew."""
    config = parser.get()
    saved = config.get("save_execute_config")
    if not isinstance(saved, str):
        return
    if not saved.startswith("$") and " + '/" in saved:
        folder, _, name = saved.rpartition(" + '/")
        config["save_execute_config"] = f"{folder}/{name.removesuffix(chr(39))}"
    for handler in _handlers(config):
        if "from_engine(['loss']" in str(handler.get("output_transform")):
            handler["output_transform"] = _LOSS
    parser.ref_resolver.reset()


def _handlers(config: dict[str, Any]) -> list[dict[str, Any]]:
    handlers = config.get("train", {}).get("handlers", [])
    return [one for one in handlers if isinstance(one, dict) and one.get("_target_") == "MLFlowHandler"]
