import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from common.datasets import check_cases, labels_of, modality_of, raise_on_findings, read_datalist, read_facts
from common.errors import InputError


def findings_of(tiny, **rules):
    facts = read_facts(read_datalist(tiny.root, holdout=0))
    given = {
        "channels": 1,
        "classes": 3,
        "declared": labels_of(tiny.root),
        "modality": modality_of(tiny.root),
    }
    return check_cases(facts, **(given | rules))


def with_label(tiny, value, where=(0, 0, 0)):
    label = tiny.label().astype(np.int16)
    label[where] = value
    tiny.write("labelsTr/c1.nii.gz", label)


def mask_0_255(tiny):
    for i in range(4):
        tiny.write(f"labelsTr/c{i}.nii.gz", np.where(tiny.label() > 0, 255, 0).astype(np.uint8))


def ignore_mark(tiny):
    with_label(tiny, 255)


def one_class_more(tiny):
    with_label(tiny, 3)


def gap_in_values(tiny):
    with_label(tiny, 7)


def negative_value(tiny):
    with_label(tiny, -1)


def label_of_other_shape(tiny):
    tiny.write("labelsTr/c1.nii.gz", tiny.label()[:, :, :3])


def label_half_a_voxel_beside(tiny):
    affine = tiny.affine.copy()
    affine[0, 3] = 0.5
    tiny.write("labelsTr/c1.nii.gz", tiny.label(), affine)


def label_flipped_in_its_header(tiny):
    tiny.write("labelsTr/c1.nii.gz", tiny.label(), tiny.affine @ np.diag([-1, 1, 1, 1]))


def image_with_nan(tiny):
    image = tiny.image().astype(np.float32)
    image[0, 0, :2] = np.nan
    tiny.write("imagesTr/c1.nii.gz", image)


def image_with_infinity(tiny):
    image = tiny.image().astype(np.float32)
    image[0, 0, 0] = np.inf
    tiny.write("imagesTr/c1.nii.gz", image)


def time_axis(tiny):
    tiny.write("imagesTr/c1.nii.gz", np.stack([tiny.image(i) for i in range(7)], axis=-1))


def flat_affine(tiny):
    image = nib.Nifti1Image(tiny.image(), None)
    image.header["sform_code"], image.header["srow_x"] = 1, [1, 0, 0, 0]  # y and z rows stay zero
    image.to_filename(tiny.root / "imagesTr/c1.nii.gz")


def image_missing(tiny):
    (tiny.root / "imagesTr/c1.nii.gz").unlink()


def image_truncated(tiny):
    path = tiny.root / "imagesTr/c1.nii.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def uncompressed_image_truncated(tiny):
    tiny.write("imagesTr/c1.nii", tiny.image())
    path = tiny.root / "imagesTr/c1.nii"
    path.write_bytes(path.read_bytes()[:-20])
    tiny.training[1]["image"] = "imagesTr/c1.nii"
    tiny.save()


def text_instead_of_image(tiny):
    (tiny.root / "imagesTr/c1.nii.gz").write_text("version https://git-lfs.github.com/spec/v1\n")


def empty_file(tiny):
    (tiny.root / "imagesTr/c1.nii.gz").write_bytes(b"")


def picture_instead_of_volume(tiny):
    Image.linear_gradient("L").resize((6, 5)).save(tiny.root / "imagesTr/c1.png")
    tiny.training[1]["image"] = "imagesTr/c1.png"
    tiny.save()


def label_missing(tiny):
    (tiny.root / "labelsTr/c1.nii.gz").unlink()


def no_label_given(tiny):
    del tiny.training[1]["label"]
    tiny.save()


def interpolated_label(tiny):
    label = tiny.label().astype(np.float32)
    label[0, 0, 0] = 0.5
    tiny.write("labelsTr/c1.nii.gz", label)


def test_case_also_trained_on(tiny):
    (tiny.root / "link.nii.gz").symlink_to(tiny.root / "imagesTr/c1.nii.gz")
    tiny.test.append({"image": "link.nii.gz"})
    tiny.save()


CAUSES = [
    (mask_0_255, "training[0]", "label", "values {0, 255}", "0..2", "--label_map '{255: 1}'"),
    (ignore_mark, "training[1]", "label", "values {0, 1, 2, 255}", "0..2", "--label_map '{255: 0}'"),
    (one_class_more, "training[1]", "label", "values {0, 1, 2, 3}", "0..2", "--num_classes 4"),
    (gap_in_values, "training[1]", "label", "{0, 1, 2, 7}", "0..2", "--label_map '{7: 3}' --num_classes 4"),
    (negative_value, "training[1]", "label", "{-1, 0, 1, 2}", "0..2", "--label_map '{-1: 0}'"),
    (label_of_other_shape, "training[1]", "label", "(6, 5, 3)", "(6, 5, 4)", "resample"),
    (label_half_a_voxel_beside, "training[1]", "label", "0.5 voxels beside", "affine", "header"),
    (label_flipped_in_its_header, "training[1]", "label", "10 voxels beside", "affine", "header"),
    (image_with_nan, "training[1]", "image", "2 voxels that are NaN", "finite", "nan_to_num"),
    (image_with_infinity, "training[1]", "image", "1 voxels that are NaN or inf", "finite", "nan_to_num"),
    (time_axis, "training[1]", "image", "7 channels (shape (6, 5, 4, 7))", "1", "time"),
    (flat_affine, "training[1]", "image", "singular", "spacing", "spacing"),
    (image_missing, "training[1]", "image", "is missing", "image", "path"),
    (image_truncated, "training[1]", "image", "truncated", "image", "again"),
    (uncompressed_image_truncated, "training[1]", "image", "truncated", "image", "again"),
    (text_instead_of_image, "training[1]", "image", "not an image", "image", "convert"),
    (empty_file, "training[1]", "image", "is empty", "image", "again"),
    (picture_instead_of_volume, "training[1]", "image", "(6, 5)", "3 spatial axes", "stack"),
    (label_missing, "training[1]", "label", "is missing", "label", "path"),
    (no_label_given, "training[1]", "label", "not given", "label", "add"),
    (interpolated_label, "training[1]", "label", "0.5 in 0.83%", "integers", "nearest"),
    (
        test_case_also_trained_on,
        "test[1]",
        "image",
        "is also training[1]",
        "one list",
        "remove",
    ),
]
test_case_also_trained_on.__test__ = False


@pytest.mark.parametrize(("spoil", "case", "key", "found", "expected", "repair"), CAUSES)
def test_known_cause(tiny, spoil, case, key, found, expected, repair):
    assert findings_of(tiny) == []
    spoil(tiny)
    errors = findings_of(tiny)
    first = errors[0]
    assert {one.severity for one in errors} == {"error"}
    assert (first.case, first.key) == (case, key)
    assert found in first.found
    assert expected in first.expected
    assert repair in first.repair
    assert {one.case for one in errors} == (
        {f"training[{i}]" for i in range(4)} if spoil is mask_0_255 else {case}
    )


@pytest.mark.parametrize(
    ("spoil", "label_map"),
    [(mask_0_255, {255: 1}), (ignore_mark, {"255": 0}), (gap_in_values, {7: 2}), (negative_value, {-1: 0})],
)
def test_label_map_repairs_labels(tiny, spoil, label_map):
    spoil(tiny)
    findings = findings_of(tiny, label_map=label_map)
    assert [one for one in findings if one.severity == "error"] == []


def test_a_suggested_map_contains_the_one_given(tiny):
    with_label(tiny, 9)
    with_label_map = findings_of(tiny, label_map={9: 255})
    assert "--label_map '{9: 0, 255: 0}'" in with_label_map[0].repair


def test_warnings_do_not_stop(tiny):
    tiny.write("imagesTr/c0.nii.gz", (tiny.image().astype(np.int32) + 1024).astype(np.uint16))
    tiny.write("labelsTr/c1.nii.gz", np.zeros(tiny.shape, np.uint8))
    tiny.write("imagesTr/c2.nii.gz", np.full(tiny.shape, 7, np.int16))
    findings = findings_of(tiny)
    assert [(one.case, one.severity) for one in findings] == [(f"training[{i}]", "warning") for i in range(3)]
    assert "unsigned" in findings[0].repair
    assert findings[1].found == "has no foreground"
    assert "is 7 in every voxel" in findings[2].found
    raise_on_findings(findings, tiny.root / "dataset.json")
    assert findings_of(tiny, modality=["MRI"])[0].case == "training[1]"


def test_values_of_mr_are_told_where_a_case_is_ct(tiny):
    """Whether it says so itself or dataset.json does for all; a case that says MR is none."""
    tiny.write("imagesTr/c0.nii.gz", np.abs(tiny.image()))
    (found,) = findings_of(tiny)
    assert (found.case, found.severity) == ("training[0]", "warning")
    assert "MR or scaled values" in found.repair
    for name, told in (("MR", 0), ("ct", 1)):
        everywhere = {"modality": name}
        tiny.save(
            training=[case | everywhere for case in tiny.training],
            test=[case | everywhere for case in tiny.test],
        )
        assert len(findings_of(tiny, modality=[])) == told


def test_declared_labels_against_classes(tiny):
    tiny.save(labels={"0": "background", "1": "liver"})
    (few,) = findings_of(tiny, classes=5)
    assert (few.key, few.severity) == ("labels", "warning")
    assert "--num_classes 2" in few.repair
    tiny.save(labels={"0": "background", "1": "liver", "2": "tumour", "3": "cyst"})
    (unused,) = findings_of(tiny, classes=4)
    assert "{3} that occur in no label file" in unused.found
    assert unused.severity == "warning"


def test_without_classes_the_declared_values_are_used(tiny):
    assert findings_of(tiny, classes=None, channels=None, dims=None) == []
    tiny.save(labels={"0": "background", "1": "liver"})
    errors = findings_of(tiny, classes=None)
    assert [one.expected for one in errors] == ["0..1"] * 4
    tiny.save(labels={"0": "background", "1": "liver", "2": "tumour", "5": "cyst"})
    assert "--label_map '{5: 3}'" in findings_of(tiny, classes=None)[0].repair


@pytest.mark.parametrize(
    ("mode", "channels", "repair"),
    [("RGB", 1, "--in_channels 3"), ("CMYK", 3, "RGB"), ("I;16", 3, "8-bit"), ("I;16", 1, "8-bit"),
     ("RGBA", 4, ""), ("L", 3, ""), ("RGBA", 3, ""),
     ("P", 3, ""), ("1", 3, ""), ("LA", 1, ""), ("RGB", 3, "")],
)  # fmt: skip
def test_colours_of_pictures(tmp_path, mode, channels, repair):
    """Anything readable as RGB or grey is fine, and the reader reads it the same way (test_pictures.py)."""
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new(mode, (6, 5)).save(path)
    facts = read_facts([{"image": str(path)}])
    errors = [
        one
        for one in check_cases(facts, channels=channels, classes=2, dims=2, labelled=())
        if one.severity == "error"
    ]
    assert len(errors) == bool(repair)
    assert all(repair in one.repair for one in errors)


def test_labels_of_pictures(tmp_path):
    """A grey mask saved as RGB is accepted; colours for classes, or another orientation, are not."""
    upright = Image.new("RGB", (6, 5))
    exif = upright.getexif()
    exif[274] = 6  # shown rotated by a quarter turn
    upright.save(tmp_path / "image.jpg", exif=exif)
    grey = np.zeros((6, 5), np.uint8)
    grey[2:4, 1:3] = 1
    masks = {
        "grey.png": Image.fromarray(grey),
        "rgb.png": Image.fromarray(np.repeat(grey[..., None], 3, axis=-1)),
        "colours.png": Image.fromarray(np.stack([grey, 0 * grey, grey], axis=-1)),
        "not_turned.png": Image.fromarray(np.ascontiguousarray(grey.T)),
    }
    for name, mask in masks.items():
        mask.save(tmp_path / name)
    cases = [{"image": str(tmp_path / "image.jpg"), "label": str(tmp_path / name)} for name in masks]
    findings = check_cases(read_facts(cases), channels=3, classes=2, dims=2)
    errors = {one.case: one.found for one in findings if one.severity == "error" and one.key == "label"}
    assert errors == {"training[2]": "is a colour picture", "training[3]": "has shape (6, 5)"}


def test_volume_for_a_network_of_colour_pictures(tiny):
    assert any("NIfTI" in one.found for one in findings_of(tiny, dims=2, channels=3))


def test_header_rounding_is_not_a_mismatch_and_a_slice_is_two_dimensional(tiny):
    tiny.write(
        "labelsTr/c1.nii.gz", tiny.label(), tiny.affine + 1e-4 * np.eye(4)[[1, 2, 0, 3]] * [1, 1, 1, 0]
    )
    assert findings_of(tiny) == []
    images = [tiny.write(f"s{i}.nii", tiny.image(i)[:, :, :1]) for i in range(2)]
    labels = [tiny.write(f"l{i}.nii", tiny.label()[:, :, 1:2]) for i in range(2)]
    tiny.training = [{"image": image, "label": label} for image, label in zip(images, labels, strict=True)]
    tiny.save(test=[])
    assert findings_of(tiny, dims=2) == []


def test_all_bad_cases_in_one_run_and_the_first_in_the_error(tiny):
    ignore_mark(tiny)
    image_missing(tiny)
    tiny.write("labelsTr/c3.nii.gz", tiny.label()[:-1])
    findings = findings_of(tiny)
    assert [(one.case, one.key) for one in findings] == [
        ("training[1]", "image"),
        ("training[1]", "label"),
        ("training[3]", "label"),
    ]
    path = tiny.root / "dataset.json"
    with pytest.raises(InputError) as told:
        raise_on_findings(findings[1:], path, options="--num_classes 3")
    first, second = str(told.value).splitlines()
    assert first == (
        f"{path}: training[1].label = labelsTr/c1.nii.gz has values {{0, 1, 2, 255}}; expected 0..2."
    )
    assert "--label_map '{255: 0}'" in second
    assert "1 more to repair" in second
    assert f"python -m common.datasets check '{tiny.root}' --num_classes 3" in second


@pytest.mark.parametrize("label_map", ["255", {"a": 1}, [1]])
def test_a_wrong_label_map_is_reported(tiny, label_map):
    with pytest.raises(InputError, match="label_map"):
        findings_of(tiny, label_map=label_map)


def test_channels_of_a_case_on_two_grids(tiny):
    affine = tiny.affine.copy()
    affine[0, 3] += 5
    tiny.write("imagesTr/moved.nii.gz", tiny.image(), affine)
    case = {"image": [str(tiny.root / "imagesTr" / name) for name in ("c1.nii.gz", "moved.nii.gz")]}
    found = check_cases(read_facts({"test": [case]}), channels=2, classes=None)[0]
    assert found.found.startswith("has another affine")
    assert found.expected == "all channels of the case on one grid"


def test_images_in_a_folder_without_a_list_are_named_themselves(tiny, tmp_path):
    """There is no dataset.json to name or to check."""
    case = {"image": str(tiny.root / "imagesTr/c1.nii.gz")}
    findings = check_cases(read_facts({"test": [case]}), channels=2, classes=None)
    with pytest.raises(InputError) as raised:
        raise_on_findings(findings, tmp_path / "none" / "dataset.json")
    assert "python -m common.datasets check" in str(raised.value), "no folder at all: as it was"
    (tiny.root / "dataset.json").unlink()
    with pytest.raises(InputError, match=rf"^{case['image']}: has 1 channel; expected 2\.") as raised:
        raise_on_findings(findings, tiny.root / "dataset.json")
    assert "python -m common.datasets check" not in str(raised.value)
    assert "in a dataset.json, or  --in_channels 1" in str(raised.value)
