"""Start MONAI Label on packed bundles and a folder of scans: ``python -m tools.label``, or ``make label``."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path

from common.commands import run_commands
from common.errors import InputError
from tools.label.app import fill_scans, make_app

_STAND_IN = Path(__file__).with_name("stand_in")
_SERVED = Path(__file__).with_name("served")
_CHECKOUT = Path(__file__).resolve().parents[2]


def serve(
    studies: str | None = None,
    models: str | tuple[str, ...] = "",
    *,
    app: str = "label",
    port: int = 8000,
) -> None:
    """Serve until Ctrl-C.  Nothing is fetched; only this machine can connect, with the token that is printed.

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
    token = secrets.token_urlsafe(24)
    print(f"scans: {scans}\nIn 3D Slicer: extension MONAILabel, server http://127.0.0.1:{port}")
    print(f"It asks for a login: any user name, and as the password\n{token}", flush=True)
    command = [sys.executable, "-m", "monailabel.main", "start_server"]
    command += ["--app", str(folder / "monaibundle"), "--studies", str(scans)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--uvicorn_app", "label_guard.served:app"]
    command += ["--conf", "models", ",".join(served), "--conf", "zoo_source", "local"]
    os.chdir(folder)  # Python puts the working directory on its path, and the checkout is not to be there
    os.execve(sys.executable, command, _environment(folder, token))


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError, TypeError) as error:
            raise InputError(f"port {port}: cannot be used ({error}); choose another with PORT") from error


def _environment(folder: Path, token: str) -> dict[str, str]:
    """Ours, without the checkout on the path: the server must take ``common`` from each bundle's folder."""
    environment = dict(os.environ)
    places = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    if not _has_torchvision():
        places.append(str(_STAND_IN))
    environment["PYTHONPATH"] = os.pathsep.join([*places, str(_SERVED)])
    return environment | {"LABEL_TOKEN": token, "MONAI_LABEL_SESSION_PATH": str(folder / "sessions")}


def _has_torchvision() -> bool:
    try:
        import torchvision.utils  # noqa: F401
    except (ImportError, RuntimeError):  # RuntimeError: of a release that does not fit this torch
        return False
    return True


if __name__ == "__main__":
    run_commands(serve, name="python -m tools.label")
