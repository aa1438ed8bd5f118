"""A picture that cannot be drawn is a warning."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from monai.data import MetaTensor

from common.evaluation.drawing.optional import optional_picture
from common.inference.preview import InferencePreview
from common.training.preview import Preview


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ValueError("a bug"), MemoryError()]
)
def test_the_run_goes_on(error, caplog):
    with optional_picture("eval/preview.png"):
        raise error
    assert caplog.records[0].levelname == "WARNING"
    assert "eval/preview.png was not drawn, the run goes on" in caplog.text


def test_a_run_that_is_stopped_stops():
    with pytest.raises(KeyboardInterrupt), optional_picture("preview.png"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["inference", "training"])
def test_previews_are_optional(kind, tmp_path, caplog):
    """The folder is a file, so nothing can be written there."""
    (tmp_path / "file").touch()
    image = MetaTensor(torch.rand(1, 8, 8, 8), meta={"filename_or_obj": str(tmp_path / "absent.nii.gz")})
    case = {"image": image, "label": (image > 0.5).int(), "pred": (image > 0.5).int()}
    state = SimpleNamespace(output=[case], epoch=1, best_metric_epoch=1)
    path = tmp_path / "file" / "preview.png"
    if kind == "inference":
        InferencePreview(path, {1: "organ"})(SimpleNamespace(state=state))
    else:
        preview = Preview(path, {1: "organ"})
        preview.keep(SimpleNamespace(state=state))
        preview.draw(SimpleNamespace(state=state))
    assert "preview.png was not drawn" in caplog.text
