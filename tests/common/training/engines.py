"""Small trainers and evaluators for the tests of handlers."""

from __future__ import annotations

import math

import torch
from ignite.engine import Engine
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedTrainer


def make_trainer(handlers=(), *, loss=None, epochs=2, items=2, network=None) -> SupervisedTrainer:
    data = [
        {
            "image": MetaTensor(torch.ones(1, 2), meta={"filename_or_obj": f"case{i}.nii.gz"}),
            "label": torch.ones(1, 2),
        }
        for i in range(items)
    ]
    network = network or torch.nn.Linear(2, 2)
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(Dataset(data), batch_size=1),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9),
        loss_function=loss or torch.nn.MSELoss(),
        train_handlers=list(handlers),
        decollate=False,
    )


def make_evaluator(scores, *, names=("dice",)) -> Engine:
    """An engine that "measures" the given scores, one for each run."""
    engine = Engine(lambda _, batch: batch)
    engine.state.key_metric_name = names[0]
    engine.state.metric_details = {}
    engine.state.best_metric, engine.state.best_metric_epoch = -1.0, -1
    remaining = iter(scores)

    def measure(epoch: int) -> None:
        score = next(remaining)
        engine.state.epoch = epoch
        engine.state.metrics = {names[0]: score}
        engine.state.metric_details = {names[0]: torch.tensor([[score, math.nan]])}
        if score > engine.state.best_metric:
            engine.state.best_metric, engine.state.best_metric_epoch = score, epoch

    engine.measure = measure
    return engine
