import json
import logging

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from common.checkpoints.stamp import Stamp, plan_digest
from common.checkpoints.store import save_state
from common.datasets import (
    PlanOptions,
    domain_datalist,
    evaluation_plan,
    load_plan,
    make_plan,
    plan_of_cases,
    read_datalist,
    read_facts,
    semi_supervised_datalist,
    training_plan,
)
from common.errors import InputError
from common.transforms.slices import labelled_slices_of, slices_of


def options(channels=1, classes=3, **given) -> PlanOptions:
    return PlanOptions(channels=channels, classes=classes, **given)


ANY = options(channels=None, classes=None)


def planned(folder, *, save_as=None, **given):
    """The plan of the training cases that read_datalist gives."""
    return training_plan(read_datalist(folder)["training"], options(**given), save_as=save_as)


def test_ct_numbers_are_those_of_numpy_over_the_training_cases_alone(tiny):
    plan = planned(tiny.root)
    pooled = np.concatenate([tiny.image(i)[tiny.label() > 0] for i in range(3)])  # the fourth is held out
    (ct,) = plan["intensity"]
    assert ct["scheme"] == "ct"
    assert ct["clip"] == pytest.approx(np.percentile(pooled, [0.5, 99.5]), abs=0.006)
    assert ct["mean"] == pytest.approx(pooled.mean(), abs=0.006)
    assert ct["sd"] == pytest.approx(pooled.std(), abs=0.006)
    assert plan["cases"] == 3
    assert plan["dataset"] == "Tiny"
    assert plan["labels"] == {"0": "background", "1": "liver", "2": "tumour"}
    assert plan["axcodes"] == "SPL"
    assert plan["spacing"] == [3, 2, 1]


def test_other_lists_are_planned_from_on_request(tiny):
    """As published protocols do that plan from all labelled cases, those to be tested on included."""
    lists = read_datalist(tiny.root)
    plan = training_plan(lists["training"], options(lists=("training", "validation")))
    pooled = np.concatenate([tiny.image(i)[tiny.label() > 0] for i in range(4)])
    assert plan["intensity"][0]["mean"] == pytest.approx(pooled.mean(), abs=0.006)
    assert plan["cases"] == 4


def test_a_spacing_given_keeps_six_decimals(tiny):
    assert planned(tiny.root, spacing=[0.78126, 0.78125, 0.7812512])["spacing"] == [
        0.78126,
        0.78125,
        0.781251,
    ]


def test_voxels_mapped_to_background_are_not_foreground(tiny):
    plan = planned(tiny.root, classes=2, label_map={2: 0})
    pooled = np.concatenate([tiny.image(i)[tiny.label() == 1] for i in range(3)])
    assert plan["intensity"][0]["mean"] == pytest.approx(pooled.mean(), abs=0.006)
    assert plan["labels"] == {"0": "background", "1": "liver"}


def test_modalities_by_channel(tiny):
    stack = tiny.write("two.nii.gz", np.stack([tiny.image(0), tiny.image(1)], axis=-1))
    facts = read_facts([{"image": str(tiny.root / stack), "label": str(tiny.root / "labelsTr/c0.nii.gz")}])
    plan = make_plan(facts, {0: "b"}, ["PET", "Ct"], ANY)
    assert plan["intensity"][0] == {"scheme": "zscore"}
    assert plan["intensity"][1]["mean"] == pytest.approx(tiny.image(1)[tiny.label() > 0].mean(), abs=0.006)
    assert make_plan(facts, {0: "b"}, [], ANY)["intensity"] == [{"scheme": "zscore"}] * 2


def oblique(spacing, axcodes, degrees):
    """Affine of a volume whose axes run along ``axcodes``, turned by ``degrees`` about (1, 1, 1)."""
    ornt = nib.orientations.axcodes2ornt(axcodes)
    axes = np.zeros((3, 3))
    for column, (row, sign) in enumerate(ornt):
        axes[int(row), column] = sign
    angle, k = np.deg2rad(degrees), np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    affine = np.eye(4)
    affine[:3, :3] = turn @ axes @ np.diag(spacing)
    affine[:3, 3] = [10, -20, 30]
    return affine


@pytest.mark.parametrize("degrees", [0, 17])
@pytest.mark.parametrize(
    ("axcodes", "spacing"),
    [("RAS", (0.7, 0.8, 5)), ("LPI", (0.7, 0.8, 5)), ("SPL", (5, 0.8, 0.7)), ("AIR", (0.8, 5, 0.7))],
)
def test_spacing_is_in_the_order_of_the_axcodes(tiny, axcodes, spacing, degrees):
    name = tiny.write("turned.nii.gz", tiny.image(), oblique(spacing, axcodes, degrees))
    facts = read_facts([{"image": str(tiny.root / name)}])
    assert make_plan(facts, {}, [], ANY)["spacing"] == pytest.approx([5, 0.8, 0.7], abs=1e-4)
    assert make_plan(facts, {}, [], options(None, axcodes="RAS"))["spacing"] == pytest.approx(
        [0.7, 0.8, 5], abs=1e-4
    )


def test_spacing_is_the_median_of_each_axis_or_the_override(tiny):
    spacings = np.array([[1, 1, 9], [2, 1, 3], [3, 8, 1], [4, 2, 2]], dtype=float)
    names = [tiny.write(f"{i}.nii", tiny.image(), np.diag([*s, 1])) for i, s in enumerate(spacings)]
    facts = read_facts([{"image": str(tiny.root / name)} for name in names])
    assert make_plan(facts, {}, [], ANY)["spacing"] == list(np.median(spacings, axis=0)[::-1])
    assert make_plan(facts, {}, [], options(None, spacing=[3, 0.76, 0.76]))["spacing"] == [3, 0.76, 0.76]
    for wrong in ([1, 2], [1, 2, 0], "abc", [1, 2, float("inf")]):
        with pytest.raises(InputError, match="spacing"):
            make_plan(facts, {}, [], options(spacing=wrong))


def test_pictures_have_no_spacing(tmp_path):
    Image.new("RGB", (6, 5)).save(tmp_path / "a.png")
    plan = make_plan(read_facts([{"image": str(tmp_path / "a.png")}]), {}, [], ANY)
    assert "spacing" not in plan
    assert plan["intensity"] == [{"scheme": "zscore"}] * 3


def test_a_saved_plan_is_loaded_and_an_absent_one_is_the_default(tiny, tmp_path):
    path = tmp_path / "models" / "plan.json"
    default = {"spacing": [1, 1, 1]}
    assert load_plan(path, default) is default
    plan = planned(tiny.root, save_as=path)
    assert load_plan(path, default) == plan == json.loads(path.read_text())
    for broken in ("{", "[]", "{}"):
        path.write_text(broken)
        with pytest.raises(InputError, match="is no plan"):
            load_plan(path, default)


def test_a_plan_of_another_bundle_is_named_where_it_lacks_a_value(tiny, tmp_path):
    planned(tiny.root, save_as=tmp_path / "plan.json")
    plan = load_plan(tmp_path / "plan.json", {"mirror_axes": [0]})
    assert plan["spacing"]
    assert plan.get("mirror_axes") is None
    with pytest.raises(InputError, match=r"plan.json: has no 'mirror_axes'.*another bundle's.*--ckpt_dir"):
        plan["mirror_axes"]


def test_a_bad_data_set_stops_before_anything_is_written(tiny, tmp_path):
    (tiny.root / "labelsTr/c0.nii.gz").unlink()
    with pytest.raises(InputError, match=r"training\[0\]\.label = labelsTr/c0\.nii\.gz is missing") as told:
        planned(tiny.root, label_map={9: 0}, save_as=tmp_path / "plan.json")
    assert "--in_channels 1 --num_classes 3 --label_map '{9: 0}'" in str(told.value)
    assert not (tmp_path / "plan.json").exists()


def test_a_bad_held_out_case_is_named_by_its_place_in_the_file(tiny):
    (tiny.root / "imagesTr/c3.nii.gz").unlink()
    with pytest.raises(InputError, match=r"training\[3\]\.image"):
        planned(tiny.root)


def test_warnings_go_to_the_log(tiny, caplog):
    with caplog.at_level(logging.WARNING):
        planned(tiny.root, classes=5)
    assert "--num_classes 3" in caplog.text


def test_ct_without_any_label_is_reported(tiny):
    for i in range(4):
        tiny.write(f"labelsTr/c{i}.nii.gz", np.zeros(tiny.shape, np.uint8))
    with pytest.raises(InputError, match="no labelled voxel"):
        planned(tiny.root)
    tiny.save(modality={"0": "MRI"}, labels=None)
    plan = planned(tiny.root)
    assert plan["labels"] == {"0": "background", "1": "class 1", "2": "class 2"}


def test_the_plan_of_listed_cases_is_that_of_their_data_set(tiny, tmp_path):
    cases = read_datalist(tiny.root)["training"]
    path, inference = tmp_path / "plan.json", {"patch_size": [8, 8, 8]}
    plan = plan_of_cases(cases, options(spacing=[3, 2, 2]), inference=inference, save_as=path)
    assert plan == planned(tiny.root, spacing=[3, 2, 2]) | inference
    assert plan == json.loads(path.read_text())
    assert (plan["channels"], plan["classes"]) == (1, 3)


def mean_of(tiny, *numbers):
    return pytest.approx(np.mean([tiny.image(i)[tiny.label() > 0] for i in numbers]), abs=0.006)


def test_the_plan_uses_the_domains_that_are_trained_on(tiny, tmp_path):
    """Regression: it used dataset.json's own training list, whatever ``source_domains`` chose."""
    listed = [{**case, "domain": "aabb"[i]} for i, case in enumerate(tiny.training)]
    tiny.save(training=listed[:2], test=listed[2:])
    cases = domain_datalist(tiny.root, source_domains="b")["training"]
    assert cases.places == ["test[0]"], "the other one is held out"
    plan = plan_of_cases(cases, options(), save_as=tmp_path / "plan.json")
    assert plan["cases"] == 1
    assert plan["intensity"][0]["mean"] == mean_of(tiny, 2)


def test_the_plan_uses_only_the_given_cases(tiny, tmp_path):
    cases = read_datalist(tiny.root, holdout=0)["training"]
    for some, numbers in ((cases[1:3], (1, 2)), (cases[:1] + cases[3:], (0, 3))):
        plan = plan_of_cases(some, options(), save_as=tmp_path / "plan.json")
        assert (plan["cases"], plan["intensity"][0]["mean"]) == (2, mean_of(tiny, *numbers))
    lists = semi_supervised_datalist(tiny.root, num_labelled=1, num_unlabelled=1)
    plan = training_plan(lists["training"], options(unlabelled=True))
    assert plan["cases"] == 2, "one labelled, one unlabelled; the other two are held out and left out"
    assert plan["intensity"][0]["mean"] == mean_of(tiny, 0)


def test_a_case_counts_once_however_many_slices_are_made_of_it(tiny):
    whole = planned(tiny.root)
    for items_of in (slices_of, labelled_slices_of):
        items = items_of(read_datalist(tiny.root)["training"])
        assert len(items) > 3
        assert training_plan(items, options()) == whole
    empty = np.zeros(tiny.shape, np.uint8)
    tiny.write("labelsTr/c0.nii.gz", empty)
    items = labelled_slices_of(read_datalist(tiny.root)["training"])
    assert training_plan(items, options())["cases"] == 2, "nothing of the first case is trained on"


def test_the_other_lists_of_the_run_are_checked_too(tiny):
    cases = read_datalist(tiny.root)["training"]
    (tiny.root / "imagesTs/t0.nii.gz").unlink()
    with pytest.raises(InputError, match=r"test\[0\]\.image = imagesTs/t0\.nii\.gz is missing"):
        training_plan(cases, options())


def test_a_held_out_case_that_is_also_trained_on_is_refused(tiny):
    tiny.save(training=[*tiny.training[:3], tiny.training[0]])
    with pytest.raises(InputError, match=r"training\[3\]\.image = .* is also training\[0\]"):
        planned(tiny.root)


def test_hidden_labels_are_never_opened(tiny):
    """Their files may as well be broken."""
    for case in tiny.training[2:]:
        (tiny.root / case["label"]).write_text("not an image")
    hidden = semi_supervised_datalist(tiny.root, num_labelled=2, holdout=0)["training"]
    plan = training_plan(hidden, options(unlabelled=True))
    assert plan["cases"] == 4, "the unlabelled ones count"
    with pytest.raises(InputError, match=r"training\[2\]\.label = .* not an image"):
        training_plan(semi_supervised_datalist(tiny.root)["training"], options(unlabelled=True))


def test_unlabelled_training_cases_are_refused_unless_the_method_uses_them(tiny, tmp_path):
    del tiny.training[3]["label"]
    tiny.save()
    lists = semi_supervised_datalist(tiny.root)
    assert lists["training"].places == ["training[0]", "training[1]", "training[3]"]
    with pytest.raises(InputError, match=r"training\[3\]\.label is not given"):
        training_plan(lists["training"], options())
    path = tmp_path / "plan.json"
    assert training_plan(lists["training"], options(unlabelled=True), save_as=path)["cases"] == 3
    plain = [dict(case) for case in lists["training"]]
    assert plan_of_cases(plain, options(unlabelled=True), save_as=path)["cases"] == 3
    with pytest.raises(InputError, match=r"training\[2\]\.label is not given"):
        plan_of_cases(plain, options(), save_as=path)


def test_files_that_are_already_scaled(tiny):
    for word in ("as_is", "zscore"):
        assert planned(tiny.root, intensity=word)["intensity"] == [{"scheme": word}]
    with pytest.raises(InputError, match=r"intensity = 'raw'"):
        planned(tiny.root, intensity="raw")


def test_cases_given_by_a_program_reuse_the_existing_plan(tiny, tmp_path):
    cases = [dict(case) for case in read_datalist(tiny.root)["training"]]
    path = tmp_path / "plan.json"
    with pytest.raises(InputError, match=r"plan\.json: there is no plan to go on from"):
        plan_of_cases(cases, options(), save_as=path)
    first = planned(tiny.root, spacing=[9, 9, 9], save_as=path)
    written = path.read_bytes()
    assert plan_of_cases(cases[:1], options(spacing=[1, 1, 1]), save_as=path) == first
    with pytest.raises(InputError, match=r"training\[0\]\.label = .*c0\.nii\.gz has values .*2"):
        plan_of_cases(cases, options(classes=2), save_as=path)
    assert plan_of_cases(cases, options(classes=2, label_map={2: 0}), save_as=path) == first
    assert path.read_bytes() == written


def test_weights_are_scored_with_the_plan_beside_them(tiny, tmp_path):
    """Regression: evaluating on other data replaced the plan, and so changed later predictions."""
    path, datalist = tmp_path / "plan.json", read_datalist(tiny.root)
    assert evaluation_plan(datalist, "validation", options(), path=path) == planned(tiny.root)
    assert not path.exists()
    first = planned(tiny.root, spacing=[9, 9, 9], save_as=path)
    written = path.read_bytes()
    assert evaluation_plan(datalist, "validation", options(spacing=[1, 1, 1]), path=path) == first
    assert path.read_bytes() == written
    with pytest.raises(InputError, match=r"training\[3\]\.label = .* has values .*2"):
        evaluation_plan(datalist, "validation", options(classes=2), path=path)


def test_scans_in_other_units_than_the_weights_are_named_before_they_are_scored(tiny, tmp_path, caplog):
    """These are in HU, the weights' were stored with an offset, as by the authors of imported ones."""
    path, datalist = tmp_path / "plan.json", read_datalist(tiny.root)
    plan = planned(tiny.root, save_as=path)
    evaluation_plan(datalist, "validation", options(), path=path)
    assert "HU + 1024" not in caplog.text
    scheme = {"scheme": "ct", "clip": [1010.0, 1390.0], "mean": 1200.0, "sd": 80.0}
    path.write_text(json.dumps(plan | {"intensity": [scheme]}))
    evaluation_plan(datalist, "validation", options(), path=path)
    assert "expected CT stored as HU + 1024" in caplog.text


def test_a_new_plan_waits_beside_the_weights_of_another_run(tiny, tmp_path):
    """It takes its place with the first weights made with it; killed before, the old ones keep theirs."""
    path = tmp_path / "plan.json"
    first = planned(tiny.root, save_as=path)
    save_state(torch.nn.Linear(1, 1), tmp_path / "model.pt", Stamp("a run", plan_digest(first)))
    cases = read_datalist(tiny.root)["training"]
    second = plan_of_cases(cases, options(spacing=[9, 9, 9]), save_as=path)
    assert second["spacing"] == [9, 9, 9]
    assert load_plan(path, {}) == json.loads(path.read_text()) == first
    assert json.loads((tmp_path / "unfinished" / "plan.json").read_text()) == second
    save_state(torch.nn.Linear(1, 1), tmp_path / "model.pt", Stamp("another", plan_digest(second)))
    assert load_plan(path, {}) == second, "killed before the plan was in its place"
    third = plan_of_cases(cases, options(spacing=[5, 5, 5]), save_as=path)
    assert load_plan(path, {}) == json.loads(path.read_text()) == second, "which the next run sees to"
    assert json.loads((tmp_path / "unfinished" / "plan.json").read_text()) == third


def test_only_the_first_process_writes_the_plan(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    planned(tiny.root, save_as=tmp_path / "plan.json")
    assert not (tmp_path / "plan.json").exists()


def test_weights_with_another_plan_are_refused_wherever_they_meet(tiny, tmp_path):
    path, datalist = tmp_path / "plan.json", read_datalist(tiny.root)
    planned(tiny.root, save_as=path)
    save_state(
        torch.nn.Linear(1, 1), tmp_path / "model.pt", Stamp("a run", plan_digest({"spacing": [9] * 3}))
    )
    uses = (
        lambda: load_plan(path, {"spacing": [1, 1, 1]}),
        lambda: load_plan(path, {}, published=True),
        lambda: load_plan(path, {"spacing": [1, 1, 1]}, published=True),
        lambda: evaluation_plan(datalist, "validation", options(), path=path),
        lambda: plan_of_cases([dict(case) for case in datalist["training"]], options(), save_as=path),
    )
    for use in uses:
        with pytest.raises(
            InputError, match=r"model\.pt: was trained with the plan of digest .* another plan"
        ):
            use()


def test_weights_without_a_plan_need_a_word_for_the_published_settings(tiny, tmp_path, caplog):
    path, default = tmp_path / "plan.json", {"spacing": [1, 1, 1]}
    save_state(torch.nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model\.pt: comes with no plan .*--plan published"):
        load_plan(path, default)
    assert load_plan(path, default, published=True) is default
    assert "used with the published settings" in caplog.text
    assert evaluation_plan(read_datalist(tiny.root), "validation", options(), path=path)["cases"] == 3
    assert "there is no plan beside the weights; they are scored with one made of this" in caplog.text
    planned(tiny.root, save_as=tmp_path / "elsewhere" / "plan.json")
    other = load_plan(tmp_path / "elsewhere" / "plan.json", default, weights=tmp_path / "model.pt")
    assert other["dataset"] == "Tiny", "weights of an earlier version, and where their plan is"
