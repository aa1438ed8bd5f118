"""The authors' weights fit (segrap2023/docs/method.md#checkpoint-layout).

to fill: what the authors' network computes, in tests/vectors, and a comparison with it in test_vectors.py
"""

from __future__ import annotations

import pytest

import common  # noqa: F401 (makes bundles importable)
from common.bundles import bundle_package, parse_config


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_published_layout_becomes_ours(prefix):
    network = parse_config("segrap2023").get_parsed_content("network_def")
    published = {f"{prefix}{key}": value for key, value in network.state_dict().items()}
    network.load_state_dict(bundle_package("segrap2023", "checkpoint").from_authors(published))
