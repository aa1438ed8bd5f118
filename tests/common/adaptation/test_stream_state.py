"""The state of a stream on disk, as the evaluator's handler saves it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator

from common.adaptation.stream_state import StreamState, cases_to_go
from common.adaptation.tent import Tent
from common.errors import InputError
from tests.common.adaptation.small import SmallNetwork, stream

DOMAINS = ["A", "A", "B", "B", "C"]


def cases(n=5, seed=0):
    images = stream(n, seed=seed)
    return [
        {"image": f"/data/{seed}_{i}.png", "domain": domain, "pixels": image}
        for i, (image, domain) in enumerate(zip(images, DOMAINS, strict=False))
    ]


def read(case):
    image = MetaTensor(case["pixels"], meta={"filename_or_obj": case["image"]})
    return {key: value for key, value in case.items() if key != "pixels"} | {"image": image}


def evaluate(
    cases, path=None, *, inferer=None, batch_size=1, network=None, decollate=False, write=None, **settings
):
    """The evaluator's predictions in order, and its inferer."""
    inferer = Tent(lr=1e-2) if inferer is None else inferer
    predictions = []

    def note(output):
        predictions.append(output["pred"].clone())
        return output if write is None else write([output])[0]

    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(cases, read), batch_size=batch_size, num_workers=0),
        network=SmallNetwork().eval() if network is None else network,
        inferer=inferer,
        decollate=decollate,
        val_handlers=[StreamState(inferer, path, **settings)],
        postprocessing=note,
    )
    evaluator.run()
    return torch.cat([p.as_tensor() for p in predictions]), inferer


def test_interrupted_stream_continues(tmp_path):
    """It stops in the middle of an image; that image is repeated, the ones before it are not."""
    path = tmp_path / "eval" / "stream.pt"
    unbroken, _ = evaluate(cases())

    class PowerCut(Tent):
        def adapt(self, image):
            super().adapt(image)
            if self.images == 3:
                raise KeyboardInterrupt

    PowerCut.__name__ = "Tent"
    with pytest.raises(KeyboardInterrupt):
        evaluate(cases(), path, inferer=PowerCut(lr=1e-2))
    left = cases_to_go(cases(), path, resume=True)
    assert [case["image"] for case in left] == [f"/data/0_{i}.png" for i in (2, 3, 4)]
    rest, inferer = evaluate(left, path, resume=True)
    assert torch.equal(rest, unbroken[2:])
    assert inferer.images == 5
    assert [f.name for f in path.parent.iterdir()] == ["stream.pt"], "temporary files are left"
    with pytest.raises(InputError, match="all 5 images of this stream were predicted"):
        cases_to_go(cases(), path, resume=True)


def test_evaluator_that_takes_batches_apart(tmp_path):
    """As in a bundle, where postprocessing sees one case at a time."""
    whole, _ = evaluate(cases(), tmp_path / "whole.pt")
    apart, _ = evaluate(cases(), tmp_path / "apart.pt", decollate=True)
    assert torch.equal(apart, whole.flatten(0, 1))
    names = [
        torch.load(tmp_path / f"{name}.pt", weights_only=True)["predicted"] for name in ("whole", "apart")
    ]
    assert names[0] == names[1] == [case["image"] for case in cases()]


def test_new_images_continue_from_what_was_learnt(tmp_path):
    path = tmp_path / "stream.pt"
    evaluate(cases(), path)
    new = cases_to_go(cases(2, seed=7), path, resume=True)
    assert len(new) == 2
    _, inferer = evaluate(new, path, resume=True)
    assert inferer.images == 7


def test_a_run_starts_afresh_unless_it_resumes(tmp_path):
    path = tmp_path / "stream.pt"
    first, inferer = evaluate(cases(), path)
    assert len(cases_to_go(cases(), path)) == 5
    again, _ = evaluate(cases(), path, inferer=inferer)
    assert torch.equal(again, first)


def test_nothing_to_resume_is_reported(tmp_path, caplog):
    path = tmp_path / "stream.pt"
    assert len(cases_to_go(cases(), path, resume=True)) == 5
    evaluate(cases(1), path, resume=True)
    assert "nothing to resume" in caplog.text


def test_a_stream_goes_on_with_the_weights_it_began_with(tmp_path, caplog):
    path, weights = tmp_path / "stream.pt", tmp_path / "model.pt"
    weights.write_bytes(b"first")
    evaluate(cases()[:2], path, weights=weights)
    evaluate(cases_to_go(cases(), path, resume=True, weights=weights)[:1], path, resume=True, weights=weights)
    weights.write_bytes(b"other")
    with pytest.raises(InputError, match=r"stream\.pt: the stream began with other weights than .*model\.pt"):
        cases_to_go(cases(), path, resume=True, weights=weights)
    with pytest.raises(InputError, match="began with other weights"):
        evaluate(cases()[3:], path, resume=True, weights=weights)
    left = cases_to_go(cases(), path, resume="force", weights=weights)
    assert len(left) == 2
    evaluate(left, path, resume="force", weights=weights)
    state = torch.load(path, weights_only=True)
    del state["weights"], state["written"]  # of an earlier version
    torch.save({**state, "predicted": state["predicted"][:3]}, path)
    assert len(cases_to_go(cases(), path, resume=True, weights=weights)) == 2


def test_masks_deleted_since_are_made_again(tmp_path, caplog):
    """With all others: each image is predicted with what was learnt from those before it."""
    path = tmp_path / "eval" / "stream.pt"

    def write(output):
        for case in output:
            name = Path(case["image"].meta["filename_or_obj"]).name
            case["pred"].meta["saved_to"] = str(path.parent / name)
            (path.parent / name).touch()
        return output

    path.parent.mkdir()
    evaluate(cases()[:3], path, write=write, decollate=True)
    assert len(cases_to_go(cases(), path, resume=True)) == 2
    (path.parent / "0_1.png").unlink()
    left = cases_to_go(cases(), path, resume=True)
    assert len(left) == 5
    assert "0_1.png, written by this stream, is not there" in caplog.text
    assert path.with_name("stream_previous.pt").is_file()
    _, inferer = evaluate(left, path, resume=True, write=write, decollate=True)
    assert inferer.images == 5
    assert sorted(f.name for f in path.parent.glob("*.png")) == [f"0_{i}.png" for i in range(5)]


def test_reset_between_domains():
    """Each domain is handled as a separate stream."""
    logits, inferer = evaluate(cases(), reset_between_domains=True)
    alone = [evaluate([c for c in cases() if c["domain"] == domain])[0] for domain in "ABC"]
    assert torch.equal(logits, torch.cat(alone))
    assert inferer.images == 1
    assert not torch.equal(evaluate(cases())[0], logits)


def test_resumed_stream_knows_its_domain(tmp_path):
    path = tmp_path / "stream.pt"
    settings = {"reset_between_domains": True}
    unbroken, _ = evaluate(cases(), **settings)
    evaluate(cases()[:3], path, **settings)
    rest, _ = evaluate(cases()[3:], path, resume=True, **settings)
    assert torch.equal(rest, unbroken[3:])


def test_cases_without_a_domain_are_one_stream():
    nameless = [{k: v for k, v in case.items() if k != "domain"} for case in cases()]
    logits, _ = evaluate(nameless, reset_between_domains=True)
    assert torch.equal(logits, evaluate(cases())[0])


def test_batches_of_several_domains():
    evaluate(cases()[1:3], batch_size=2)
    with pytest.raises(InputError, match=r"0_1\.png.* are of A, B; expected batches of one"):
        evaluate(cases()[1:3], batch_size=2, reset_between_domains=True)


def test_files_that_are_not_a_state(tmp_path):
    path = tmp_path / "stream.pt"
    torch.save({"model": {}}, path)
    with pytest.raises(InputError, match="not the state of a stream"):
        cases_to_go(cases(), path, resume=True)
    path.write_text("no")
    with pytest.raises(InputError, match="not a PyTorch checkpoint"):
        evaluate(cases(), path, resume=True)
