import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureChannelFirstd, Invertd, LoadImaged, SaveImaged, Transposed
from PIL import Image

from common.transforms.nested import NestedLabeld, NestedThresholdd
from common.transforms.pictures import (
    LabelPictureReader,
    LabelServerPictured,
    PictureReader,
    ResizePicture,
    ResizePictured,
)

SIZE = (32, 48)


def smooth_picture(height, width):
    y, x = np.mgrid[0:height, 0:width] / (height + width)
    channels = [200 * x, 255 * y, 120 * (x + y) + 60 * np.sin(9 * x)]
    return np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)


def reading(**how):
    return Compose(
        [
            LoadImaged("image", reader=PictureReader(3)),
            EnsureChannelFirstd("image"),
            Transposed("image", indices=[0, 2, 1]),
            ResizePictured("image", SIZE, **how),
        ]
    )


@pytest.mark.parametrize(("height", "width"), [(32, 48), (100, 37), (20, 90), (9, 5)])
def test_resizes_as_pillow_does(tmp_path, height, width):
    picture = Image.fromarray(smooth_picture(height, width))
    picture.save(tmp_path / "a.png")
    image = reading()({"image": str(tmp_path / "a.png")})["image"]
    expected = np.asarray(picture.resize(SIZE[::-1], Image.Resampling.BICUBIC), float).transpose(2, 0, 1)
    assert image.shape == (3, *SIZE)
    assert image.dtype == torch.float32
    np.testing.assert_allclose(image.numpy(), expected, atol=2)  # Pillow rounds and clips after each pass


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("height", "width"), [(100, 37), (20, 90)])
def test_eight_bits_are_what_pillow_makes(tmp_path, mode, height, width):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    picture.save(tmp_path / "a.png")
    image = reading(mode=mode, eight_bit=True)({"image": str(tmp_path / "a.png")})["image"]
    expected = np.asarray(picture.resize(SIZE[::-1], Image.Resampling[mode.upper()])).transpose(2, 0, 1)
    assert image.dtype == torch.float32
    assert np.array_equal(image.numpy(), expected)


def test_eight_bits_are_not_other_values():
    with pytest.raises(ValueError, match="not whole numbers from 0 to 255"):
        ResizePicture(SIZE, eight_bit=True)(torch.full((3, 4, 4), 0.5))


def test_labels_keep_their_values():
    label = torch.randint(0, 3, (1, 50, 31), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    resized = ResizePicture(SIZE, mode="nearest")(label)
    expected = Image.fromarray(label[0].numpy()).resize(SIZE[::-1], Image.Resampling.NEAREST)
    assert resized.dtype == torch.uint8
    assert np.array_equal(resized[0].numpy(), np.asarray(expected))


def test_prediction_goes_back_to_the_file(tmp_path):
    """Through the transforms of a bundle: same size, same side up, and the right file name."""
    truth = np.zeros((70, 41), np.uint8)
    truth[10:30, 20:38] = 1
    truth[14:22, 24:36] = 2
    Image.fromarray(np.repeat(100 * truth[..., None], 3, -1)).save(tmp_path / "eye.png")
    before = reading(eight_bit=True)
    data = before({"image": str(tmp_path / "eye.png")})
    data["pred"] = MetaTensor(torch.stack([data["image"][0] - 50, data["image"][0] - 150]))
    after = Compose(
        [
            NestedThresholdd("pred"),
            NestedLabeld("pred"),
            Invertd("pred", transform=before, orig_keys="image", nearest_interp=True, to_tensor=True),
            SaveImaged(
                "pred", output_dir=tmp_path / "out", output_ext=".png", output_postfix="seg",
                output_dtype=np.uint8, separate_folder=False, resample=False, print_log=False,
            ),
        ]
    )  # fmt: skip
    after(data)
    written = np.asarray(Image.open(tmp_path / "out" / "eye_seg.png"))
    assert written.shape == truth.shape
    assert written.dtype == np.uint8
    assert set(np.unique(written)) == {0, 1, 2}
    assert (written == truth).mean() > 0.97
    assert (written == truth[::-1]).mean() < 0.9
    assert (written == truth[:, ::-1]).mean() < 0.9


def test_label_reader(tmp_path):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    Image.fromarray(values).save(tmp_path / "a.png")
    load = Compose([LoadImaged("label", reader=LabelPictureReader()), EnsureChannelFirstd("label")])
    assert np.array_equal(load({"label": str(tmp_path / "a.png")})["label"][0].numpy().T, values)


def test_exactly_one_half_counts():
    assert NestedThresholdd("p")({"p": torch.tensor([-1e-6, 0.0, 1e-6])})["p"].tolist() == [0, 1, 1]


def test_unknown_mode():
    with pytest.raises(ValueError, match="lanczos"):
        ResizePicture(SIZE, mode="lanczos")


def test_a_label_server_gets_the_picture_without_its_channel_and_as_png():
    """MONAI Label's writer would take (1, W, H) for a volume, and write a JPEG's label as JPEG."""
    label = torch.arange(6, dtype=torch.uint8).reshape(1, 2, 3)
    fit = LabelServerPictured("pred")
    served = fit({"pred": label, "image_path": "a.jpg"})
    assert torch.equal(served["pred"], label[0])
    assert served["result_extension"] == ".png"
    assert (
        fit({"pred": label, "image_path": "a.jpg", "result_extension": ".tif"})["result_extension"] == ".tif"
    )
    elsewhere = fit({"pred": label})
    assert torch.equal(elsewhere["pred"], label)
    assert set(elsewhere) == {"pred"}
