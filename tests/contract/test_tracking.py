"""Experiment tracking by MONAI's own option, into the run's output folder."""

from __future__ import annotations

import csv

import pytest

pytestmark = pytest.mark.full


def test_mlflow_in_the_output_folder(bundle, make_run, shell):
    """Parameters, losses, validation metrics and the config of the run, in a database and a folder."""
    mlflow = pytest.importorskip("mlflow", reason="pip install -r requirements-mlflow.txt")
    run = make_run()
    shell.run([bundle.config_file("train")], {**run.train_overrides, "tracking": "mlflow"}).ok()

    client = mlflow.MlflowClient(f"sqlite:///{run.output_dir / 'mlruns.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name == "monai_experiment")
    (tracked,) = client.search_runs([experiment.experiment_id])
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["max_epochs"] == "2"

    with open(run.output_dir / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    steps = 2 * bundle.iterations_per_epoch
    assert len(client.get_metric_history(tracked.info.run_id, "train_loss")) == steps
    key = bundle.key_metric
    history = client.get_metric_history(tracked.info.run_id, key)
    assert [one.value for one in history] == pytest.approx([float(row[key]) for row in rows], rel=1e-5)

    artifacts = [file.path for file in client.list_artifacts(tracked.info.run_id)]
    assert [name for name in artifacts if name.startswith("config_") and name.endswith(".json")], artifacts
    assert list((run.output_dir / "mlruns").rglob("config_*.json"))
