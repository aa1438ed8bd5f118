"""Start MONAI Label on packed bundles and a folder of scans: ``python -m tools.label``, or ``make label``."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import fire

from common.errors import InputError, show_input_errors_as_one_line
from tools.label.app import fill_scans, make_app

_STAND_IN = Path(__file__).with_name("stand_in")
_CHECKOUT = Path(__file__).resolve().parents[2]


def serve(
    studies: str | None = None,
    models: str | tuple[str, ...] = "",
    *,
    app: str = "label",
    port: int = 8000,
) -> None:
    """Serve until Ctrl-C.  Nothing is fetched, and only this machine can connect.

    Args:
        studies: folder of scans; labels go into its ``labels/``.  By default ``APP/scans``, filled with
            the phantom's test scans on first use.
        models: names of bundles, separated by commas; by default all that have weights.
        app: folder for the server's own files and the unpacked bundles.
        port: on 127.0.0.1.

    Raises:
        InputError: no weights, no such folder of scans, or the port is taken.
    """
    folder = Path(app).absolute()
    names = [models] if isinstance(models, str) else list(models)
    names = [name.strip() for part in names for name in part.split(",") if name.strip()]
    _require_free(port)
    scans = Path(str(studies)).expanduser().absolute() if studies else folder / "scans"
    if studies and not scans.is_dir():
        raise InputError(f"{scans}: no such folder; expected one with scans (NIfTI or NRRD): correct STUDIES")
    told = make_app(folder / "monaibundle", names)
    served = [line.split(":")[0] for line in told]
    if not scans.is_dir():
        fill_scans(scans, served[0])
    print(*told, sep="\n")
    print(f"scans: {scans}\nIn 3D Slicer: extension MONAILabel, server http://127.0.0.1:{port}", flush=True)
    command = [sys.executable, "-m", "monailabel.main", "start_server"]
    command += ["--app", str(folder / "monaibundle"), "--studies", str(scans)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--conf", "models", ",".join(served), "--conf", "zoo_source", "local"]
    os.chdir(folder)  # Python puts the working directory on its path, and the checkout is not to be there
    os.execve(sys.executable, command, _environment())


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError, TypeError) as error:
            raise InputError(f"port {port}: cannot be used ({error}); choose another with PORT") from error


def _environment() -> dict[str, str]:
    """Ours, without the checkout on the path: the server must take ``common`` from each bundle's folder."""
    environment = dict(os.environ)
    places = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    if not _has_torchvision():
        places.append(str(_STAND_IN))
    environment["PYTHONPATH"] = os.pathsep.join(places)
    return environment


def _has_torchvision() -> bool:
    try:
        import torchvision.utils  # noqa: F401
    except (ImportError, RuntimeError):  # RuntimeError: of a release that does not fit this torch
        return False
    return True


if __name__ == "__main__":
    show_input_errors_as_one_line()
    fire.Fire(serve, name="python -m tools.label")
