"""The transformer carries a cue across the volume (cotr/docs/method.md#how-to-know-it-works).

Blobs on one side of the volume all look alike; the class of each is set by a bright or a dark marker on
the opposite side.  DeTrans's input is one convolution per level whose kernel equals its stride: a token sees
only its own block of voxels, so what a blob knows about its marker came through the attention.  (After CoTr's
own encoder the comparison would prove nothing: instance norm gives every voxel statistics of the whole
volume, which already reveal the marker.)
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import common  # noqa: F401 (makes bundles importable)
from cotr.network import DeTrans

TOKENS = (2, 4, 16)  # of the finer level; blob and marker are 15 apart, an offset initially reaches 4
BLOCK = (4, 8, 8)  # voxels of a token: the strides of CoTr's second coarsest level
CHANNELS = 384
SEEDS = (0, 1, 2)


def draw(cases: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Volumes (B, 1, 8, 32, 128) and the classes of the blobs at token resolution, 0 elsewhere."""
    value, label = torch.zeros(cases, *TOKENS), torch.zeros(cases, *TOKENS, dtype=torch.long)
    depth, height, _ = TOKENS
    for case in range(cases):
        for pair in range(height // 2):
            d, inside, bright = (int(torch.randint(n, (1,), generator=generator)) for n in (depth, 2, 2))
            h = 2 * pair + inside
            value[case, d, h, 0], label[case, d, h, 0] = 1.0, 1 + bright
            value[case, d, h, -1] = 2.0 if bright else -2.0
    for axis, voxels in enumerate(BLOCK):
        value = value.repeat_interleave(voxels, dim=1 + axis)
    image = value[:, None]
    return image + 0.1 * torch.randn(image.shape, generator=generator), label


class CueNetwork(nn.Module):
    """Patch embedding, DeTrans at CoTr's width on one or two levels, a linear head."""

    def __init__(self, *, levels: int, layers: int) -> None:
        super().__init__()
        self.fine = nn.Conv3d(1, CHANNELS, BLOCK, stride=BLOCK)
        self.coarse = nn.Conv3d(CHANNELS, CHANNELS, 2, stride=2) if levels == 2 else None
        self.transformer = DeTrans(CHANNELS, levels=levels, dropout=0.0)
        self.transformer.layers = self.transformer.layers[:layers]
        self.head = nn.Conv3d(CHANNELS, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        fine = F.gelu(self.fine(image))
        if self.coarse is None:
            return self.head(self.transformer([fine])[0])
        fine, coarse = self.transformer([fine, self.coarse(fine)])
        return self.head(fine + F.interpolate(coarse, scale_factor=2))


def share_of_blobs_right(seed: int, **kind: int) -> float:
    """Train for 60 steps; the share of blobs in new volumes that get the right class of the two."""
    torch.manual_seed(seed)
    drawn = torch.Generator().manual_seed(seed)
    network = CueNetwork(**kind)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-4)
    for _ in range(60):
        image, label = draw(2, drawn)
        loss = F.cross_entropy(network(image), label, weight=torch.tensor([0.05, 1.0, 1.0]))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    image, label = draw(32, torch.Generator().manual_seed(1000 + seed))
    with torch.no_grad():
        classes = network.eval()(image)[:, 1:].argmax(1) + 1
    blobs = label > 0
    return float((classes[blobs] == label[blobs]).float().mean())


@pytest.mark.release
def test_a_distant_cue_is_learnt_only_with_the_transformer():
    two = [share_of_blobs_right(seed, levels=2, layers=6) for seed in SEEDS]
    one = [share_of_blobs_right(seed, levels=1, layers=6) for seed in SEEDS]
    without = [share_of_blobs_right(seed, levels=2, layers=0) for seed in SEEDS]
    print(f"blobs right: two levels {two}, one level {one}, without layers {without}")
    assert all(0.3 < share < 0.7 for share in without), without  # a coin toss for each of 64 blobs
    assert sum(two) / len(two) > 0.9, two
    assert min(two) > max(without) + 0.1, (two, without)
    assert sum(two) >= sum(one), (two, one)


def test_without_layers_the_cue_cannot_arrive():
    """Makes the comparison fair: without layers a blob's logits do not depend on its marker at all."""
    image, _ = draw(1, torch.Generator().manual_seed(0))
    image.requires_grad_()
    for layers, depends in ((0, False), (6, True)):
        torch.manual_seed(0)
        blob = CueNetwork(levels=2, layers=layers)(image)[..., 0]
        (gradient,) = torch.autograd.grad((blob * torch.randn_like(blob)).sum(), image)
        assert bool(gradient[..., -BLOCK[2] :].any()) is depends
