import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from common.pictures import read_label_picture, read_picture

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def saved(tmp_path, picture, name="a.png", **options):
    picture.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_modes_read_as_rgb(tmp_path, mode):
    picture = Image.fromarray(COLOURS).convert(mode)
    read = read_picture(saved(tmp_path, picture))
    assert read.mode == "RGB"
    assert np.array_equal(np.asarray(read), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_modes_read_as_grey(tmp_path, mode):
    picture = Image.fromarray(COLOURS).convert(mode)
    assert np.array_equal(np.asarray(read_picture(saved(tmp_path, picture), 1)), picture.convert("L"))


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (Image.new("CMYK", (4, 4)), "CMYK"),
        (Image.fromarray(np.full((4, 4), 3000, np.uint16)), "more than 8 bits"),
        (Image.fromarray(np.full((4, 4), 0.5, np.float32)), "more than 8 bits"),
    ],
)
def test_modes_that_need_a_decision(tmp_path, picture, says):
    with pytest.raises(InputError, match=says) as error:
        read_picture(saved(tmp_path, picture, "a.tif"))
    assert "8-bit PNG" in str(error.value)
    assert "\n" not in str(error.value)


def test_colour_for_a_grey_network(tmp_path):
    with pytest.raises(InputError, match="in_channels 3"):
        read_picture(saved(tmp_path, Image.fromarray(COLOURS)), 1)


@pytest.mark.parametrize("spoil", ["missing", "letter", "cut"])
def test_broken_files(tmp_path, spoil):
    path = saved(tmp_path, Image.fromarray(np.repeat(COLOURS, 40, axis=0)))
    if spoil == "missing":
        path.unlink()
    elif spoil == "letter":
        path.write_text("This is a letter.")
    else:
        path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"a\.png") as error:
        read_picture(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(tmp_path, orientation):
    """As every viewer shows it: the result of ImageOps on the same file."""
    picture = Image.fromarray(COLOURS)
    exif = picture.getexif()
    exif[274] = orientation
    path = saved(tmp_path, picture, exif=exif)
    turns = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
             5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, -1),
             7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: np.rot90}  # fmt: skip
    assert np.array_equal(np.asarray(read_picture(path)), turns[orientation](COLOURS))


def test_labels(tmp_path):
    values = (COLOURS[..., 0] % 3).astype(np.uint8)
    palette = Image.fromarray(values, mode="L").convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    palette.putdata(values.ravel())
    for picture in (Image.fromarray(values), palette, Image.fromarray(np.repeat(values[..., None], 3, -1))):
        assert np.array_equal(read_label_picture(saved(tmp_path, picture)), values)
    with pytest.raises(InputError, match="colour picture"):
        read_label_picture(saved(tmp_path, Image.fromarray(COLOURS)))
