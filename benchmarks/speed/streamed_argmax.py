"""The likeliest of 55 classes from overlapping windows: streamed against a volume of every class.

    python -m benchmarks.speed.streamed_argmax            # 64 x 256 x 256 voxels, patch 32 x 64 x 64
    python -m benchmarks.speed.streamed_argmax --quick    # a quarter of each side: does it run?

Both see the same windows of a network of a single layer, so that hardly anything but the windows' sums and
the decision is measured, and must give the same labels.  Peak memory is beyond the image and the network,
the result included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.speed.alone import Setting
from benchmarks.speed.memory import peak_bytes
from common.inference.decision import likeliest
from common.inference.even_windows import EvenWindowInferer
from common.inference.streamed_argmax import streamed_argmax

__all__ = ["main", "ways"]

CLASSES = 55  # SegRap2023's, background included
SHAPE, PATCH = (64, 256, 256), (32, 64, 64)
QUICK, QUICK_PATCH = (16, 64, 64), (8, 16, 16)


def ways(shape: Sequence[int], patch: Sequence[int]) -> dict[str, Callable[[], Tensor]]:
    """Both ways to the label map of one image of two channels."""
    torch.manual_seed(0)
    network, image = nn.Conv3d(2, CLASSES, 1).eval(), torch.randn(1, 2, *shape)

    @torch.no_grad()
    def whole() -> Tensor:
        return likeliest(EvenWindowInferer(patch)(image, network)[0])

    @torch.no_grad()
    def streamed() -> Tensor:
        return streamed_argmax(image, network, patch)[0, 0]

    return {"whole": whole, "streamed": streamed}


def main(arguments: list[str] | None = None) -> None:
    """Measure both, alternating, and print time and peak; fail where a label differs."""
    setting = Setting.of_command("benchmarks.speed.streamed_argmax", __doc__, arguments)
    shape, patch = (QUICK, QUICK_PATCH) if setting.quick else (SHAPE, PATCH)
    calls = ways(shape, patch)
    seconds = setting.medians(calls)
    peaks = {way: peak_bytes(call, warm_up=False) for way, call in calls.items()}
    if not torch.equal(calls["whole"](), calls["streamed"]()):
        raise SystemExit("the labels differ; expected the same ones")
    row = {
        "size": " x ".join(map(str, shape)),
        "patch": " x ".join(map(str, patch)),
        "seconds": seconds,
        "peak_bytes": peaks,
        "time_ratio": seconds["streamed"] / seconds["whole"],
        "peak_ratio": peaks["streamed"] / peaks["whole"],
    }
    for way in calls:
        print(f"{row['size']}, {way}: {seconds[way]:.3g} s, {peaks[way] / 2**20:.4g} MB")
    print(f"ratio of time {row['time_ratio']:.3f}, of peak {row['peak_ratio']:.3f}")
    setting.write([row])


if __name__ == "__main__":
    main()
