"""The steps of :mod:`common.registry.zoo_checks` for which MONAI has no command of its own.

    python -P zoo_steps.py STEP BUNDLE_ROOT [FILE ...]

Run as a file, in a process that has the bundle's root on its path and nothing of a checkout: it must
not import ``common.registry``, and whatever ``common`` it meets is the bundle's own.  What is wrong
becomes the last line of stderr and exit code 1; a remark on what is right goes to stdout.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle.scripts import _get_fake_input_shape  # the shape that MONAI's own commands take

# Largest difference, absolute and relative to the value.  Both files compute in float32: TorchScript runs
# the very operations of the network, ONNX Runtime its own, in another order.
TORCHSCRIPT_TOLERANCE = 1e-5
ONNX_TOLERANCE = 1e-4


def _parser(root: Path) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(str(root / "configs" / "inference.json"))
    parser.read_meta(str(root / "configs" / "metadata.json"))
    return parser


def properties(root: Path, kind: str) -> str:
    """Every property that MONAI requires of such a workflow exists and refers to the right thing."""
    workflow = ConfigWorkflow(
        config_file=str(root / "configs" / f"{kind}.json"),
        workflow_type=kind,
        logging_file=False,
        **_published_settings(root, kind),
    )
    workflow.initialize()
    lacking = workflow.check_properties()
    if lacking:
        sys.exit(f"{kind}.json: lacks, or refers to something else than, {', '.join(map(str, lacking))}")
    return ""


def _published_settings(root: Path, kind: str) -> dict[str, bool]:
    """What ``--plan published`` sets: the weights made for this check have no plan."""
    config = ConfigParser.load_config_file(root / "configs" / f"{kind}.json")
    with_plan = isinstance(config.get("plan"), dict) and not (root / "models" / "plan.json").is_file()
    return {"plan#published": True} if kind == "inference" and with_plan else {}


def make_weights(root: Path, target: str) -> str:
    """Save the weights that the network is initialised with."""
    torch.manual_seed(0)
    network = _parser(root).get_parsed_content("network_def")
    torch.save(network.state_dict(), target)
    return ""


def _network_and_input(root: Path, weights: str) -> tuple[torch.nn.Module, torch.Tensor]:
    parser = _parser(root)
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network, torch.randn(_get_fake_input_shape(parser), generator=torch.Generator().manual_seed(0))


def _remark(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> str:
    if found.shape != expected.shape:
        sys.exit(f"the exported file gives {tuple(found.shape)}, the network {tuple(expected.shape)}")
    difference = float((found - expected).abs().max())
    if not torch.allclose(found, expected, rtol=tolerance, atol=tolerance):
        sys.exit(
            f"the exported file differs from the network by {difference:.1e}; expected at most {tolerance:g}"
        )
    return f"differs from the network by {difference:.1e} at most"


@torch.no_grad()
def torchscript(root: Path, weights: str, exported: str) -> str:
    """The TorchScript file computes what the network computes."""
    network, x = _network_and_input(root, weights)
    return _remark(torch.jit.load(exported).eval()(x), network(x), TORCHSCRIPT_TOLERANCE)


@torch.no_grad()
def torch_export(root: Path, weights: str) -> str:
    """``torch.export`` gives a program that computes what the network computes."""
    network, x = _network_and_input(root, weights)
    return _remark(torch.export.export(network, (x,)).module()(x), network(x), TORCHSCRIPT_TOLERANCE)


@torch.no_grad()
def onnx(root: Path, weights: str, exported: str) -> str:
    """The ONNX file computes in ONNX Runtime what the network computes."""
    import onnxruntime

    network, x = _network_and_input(root, weights)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return _remark(torch.from_numpy(found), network(x), ONNX_TOLERANCE)


STEPS = {step.__name__: step for step in (properties, make_weights, torchscript, torch_export, onnx)}

if __name__ == "__main__":
    name, folder, *words = sys.argv[1:]
    print(STEPS[name](Path(folder), *words))
