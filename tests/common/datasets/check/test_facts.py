import dataclasses
import os

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from common.datasets import read_datalist, read_facts
from common.datasets.check import facts as facts_module
from common.datasets.check.voxels import read_voxels


@pytest.fixture
def reads(monkeypatch):
    """The files that were opened, in order."""
    opened = []

    def noting(file):
        opened.append(os.path.basename(file))
        return read_voxels(file)

    monkeypatch.setattr(facts_module, "read_voxels", noting)
    return opened


def cases_of(tiny):
    return read_datalist(tiny.root, holdout=0)


def test_facts_of_a_volume(tiny):
    first, *_, last = read_facts(cases_of(tiny))
    image, label = tiny.image(0), tiny.label()
    assert first.name == "training[0]"
    assert last.name == "test[0]"
    assert last.label is None
    assert first.image.shape == first.label.shape == (6, 5, 4)
    assert first.image.spacing == (1, 2, 3)
    assert np.array_equal(first.image.affine, tiny.affine)
    assert (first.image.channels, first.image.kind, first.image.non_finite) == (1, "i", 0)
    assert first.image.low == (image.min(),)
    assert first.image.high == (image.max(),)
    assert first.label.values == (0, 1, 2)
    assert sorted(first.sample[0]) == sorted(image[label > 0])
    assert first.sample_mean[0] == pytest.approx(image[label > 0].mean())
    by_label = {
        value: sorted(v for v, at in zip(first.sample[0], first.sample_labels, strict=True) if at == value)
        for value in (1, 2)
    }
    assert by_label == {value: sorted(image[label == value]) for value in (1, 2)}


def test_channels_of_a_list_and_of_a_fourth_axis_are_the_same(tiny):
    stack = np.stack([tiny.image(1), tiny.image(2)], axis=-1)
    whole = tiny.write("stack.nii.gz", stack)
    parts = [tiny.write(f"part{c}.nii.gz", stack[..., c]) for c in range(2)]
    label = str(tiny.root / "labelsTr/c0.nii.gz")
    one, two = read_facts(
        [
            {"image": str(tiny.root / whole), "label": label},
            {"image": [str(tiny.root / part) for part in parts], "label": label},
        ]
    )
    assert one.image.channels == two.image.channels == 2
    assert one.image.low == two.image.low == tuple(stack.min(axis=(0, 1, 2)))
    assert one.sample == two.sample
    assert len(one.sample) == 2


def test_header_scaling_and_non_finite_voxels(tiny):
    array = tiny.image(3).astype(np.float32)
    array[0, 0, 0], array[5, 4, 3] = np.nan, -np.inf
    scaled = nib.Nifti1Image(tiny.image(3), tiny.affine)
    scaled.header.set_slope_inter(-0.5, 10)
    nib.save(scaled, tiny.root / "scaled.nii.gz")
    loaded = np.asarray(nib.load(tiny.root / "scaled.nii.gz").dataobj)
    label = str(tiny.root / "labelsTr/c0.nii.gz")
    bad, rescaled = read_facts(
        [
            {"image": str(tiny.root / tiny.write("bad.nii.gz", array)), "label": label},
            {"image": str(tiny.root / "scaled.nii.gz"), "label": label},
        ]
    )
    assert bad.image.non_finite == 2
    assert bad.image.low == (array[np.isfinite(array)].min(),)
    assert len(bad.sample[0]) == np.count_nonzero(tiny.label()) - 1
    assert rescaled.image.low[0] == pytest.approx(loaded.min())
    assert rescaled.image.high[0] == pytest.approx(loaded.max())
    assert sorted(rescaled.sample[0]) == pytest.approx(sorted(loaded[tiny.label() > 0]), abs=1e-3)


def test_pictures_have_x_first_and_colours_as_channels(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (3, 5, 3), dtype=np.uint8)
    mask = np.zeros((3, 5), np.uint8)
    mask[0, 4] = mask[2, 1] = 255
    Image.fromarray(colours).save(tmp_path / "image.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    (case,) = read_facts([{"image": str(tmp_path / "image.png"), "label": str(tmp_path / "mask.png")}])
    assert case.image.shape == case.label.shape == (5, 3)
    assert case.image.affine is None
    assert case.label.values == (0, 255)
    assert np.array_equal(np.array(case.sample).T, colours[[0, 2], [4, 1]])


def test_sample_is_bounded_and_even(tiny):
    image = np.arange(40 * 40 * 40, dtype=np.float32).reshape((40, 40, 40), order="F")
    tiny.write("big.nii.gz", image)
    tiny.write("big_label.nii.gz", np.ones(image.shape, np.uint8))
    (case,) = read_facts(
        [{"image": str(tiny.root / "big.nii.gz"), "label": str(tiny.root / "big_label.nii.gz")}]
    )
    assert 4000 < len(case.sample[0]) <= 5000
    assert set(np.diff(case.sample[0])) == {13}


@pytest.mark.parametrize("label", [3, [0, 2]])
def test_a_class_index_is_a_label_without_a_file(tiny, label):
    cases = [{"image": str(tiny.root / "imagesTr/c0.nii.gz"), "label": label}]
    for case in (*read_facts(cases), *read_facts(cases)):
        assert case.label.files == ()
        assert case.label.values == (tuple(label) if isinstance(label, list) else (label,))


def test_an_unchanged_data_set_is_not_read_again(tiny, reads, capsys):
    first = read_facts(cases_of(tiny))
    assert len(reads) == 4 * 2 + 1
    assert "checking data" in capsys.readouterr().err
    reads.clear()
    assert read_facts(cases_of(tiny)) == first
    assert reads == []
    assert capsys.readouterr().err == ""

    changed = tiny.root / "labelsTr/c2.nii.gz"
    later = changed.stat().st_mtime_ns + 1_000_000_000
    os.utime(changed, ns=(later, later))
    assert read_facts(cases_of(tiny)) == first
    assert reads == ["c2.nii.gz", "c2.nii.gz"]


def test_a_case_may_move_in_the_list_and_stay_cached(tiny, reads):
    first = read_facts(cases_of(tiny))
    reads.clear()
    tiny.training.reverse()
    tiny.save()
    again = read_facts(cases_of(tiny))
    assert reads == []
    assert again[0] == dataclasses.replace(first[3], name="training[0]")


def test_bad_files_are_read_again_and_cache_can_be_off(tiny, reads):
    (tiny.root / "labelsTr/c1.nii.gz").unlink()
    read_facts(cases_of(tiny))
    (tiny.root / "imagesTr/c2.nii.gz").write_text("text")
    read_facts(cases_of(tiny))
    reads.clear()
    assert read_facts(cases_of(tiny))[1].label.error == "is missing"
    assert reads == ["c1.nii.gz", "c1.nii.gz", "c2.nii.gz", "c2.nii.gz"]
    read_facts(cases_of(tiny), cache=False)
    assert len(reads) == 4 + 9


def test_works_without_a_writable_cache(tiny, monkeypatch, tmp_path, reads):
    blocked = tmp_path / "a file"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert read_facts(cases_of(tiny)) == read_facts(cases_of(tiny))
    assert len(reads) == 18


def test_a_damaged_cache_entry_is_ignored(tiny, cache_home, reads):
    first = read_facts(cases_of(tiny))
    for entry in (cache_home / "method_zoo/facts").iterdir():
        entry.write_text(entry.read_text()[:50])
    reads.clear()
    assert read_facts(cases_of(tiny)) == first
    assert len(reads) == 9


def test_files_of_one_image_lie_on_one_grid(tmp_path):
    """Two files of one shape whose voxels lie elsewhere are no channels of one image; rounding is."""
    shape, files = (6, 5, 4), {}
    for name, shift in (("native", 0.0), ("rounded", 0.01), ("moved", 1.5)):
        affine = np.diag([2.0, 2.0, 3.0, 1.0])
        affine[0, 3] = shift
        files[name] = str(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), affine), files[name])
    pairs = [{"image": [files["native"], files[other]]} for other in ("rounded", "moved")]
    rounded, moved = (facts.image for facts in read_facts(pairs, cache=False))
    assert rounded.error is None
    assert rounded.channels == 2
    assert moved.error == f"has another affine than {files['native']}, so its voxels lie elsewhere"
    assert moved.bad_file == files["moved"]
