"""Training on other domains through train.json: the plan uses their cases."""

from __future__ import annotations

from common.bundles import parse_config
from common.phantoms import fundus


def test_the_plan_uses_the_chosen_domains(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = fundus.make(tmp_path / "fundus", source="B", training=2, validation=1, test=5, size=40)
    for sources, trained_on in ((None, 2), (["D"], 4), (["A", "D"], 8)):
        settings = {"dataset_dir": folder, "source_domains": sources, "ckpt_dir": str(tmp_path / "models")}
        parser = parse_config("trid", "train", **settings)
        cases = parser.get_parsed_content("train#dataset#data")
        assert len(cases) == trained_on
        assert parser.get_parsed_content("plan")["cases"] == trained_on
