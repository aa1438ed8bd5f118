import json
import multiprocessing
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from common.errors import InputError
from common.phantoms.making import store
from common.phantoms.making.store import case_generator, ensure_phantom

DESCRIPTION = {"name": "toy", "description": "d", "modality": {"0": "CT"}, "labels": {"0": "background"}}


def write_numbers(root, subset, case, rng):
    entry = {"image": f"images{subset}/{case}.txt", "label": f"labels{subset}/{case}.txt"}
    for file in entry.values():
        (root / file).write_text(str(rng.integers(1 << 30)))
    return entry


def ensure(folder, *, seed=0, name="toy", training=2, validation=1, test=1, write_case=write_numbers):
    return ensure_phantom(
        folder,
        description=DESCRIPTION,
        parameters={"name": name, "version": 1, "seed": seed, "shape": (2, 3)},
        counts={"training": training, "validation": validation, "test": test},
        write_case=write_case,
    )


def dataset_of(folder):
    return json.loads((folder / "dataset.json").read_text())


def test_layout(tmp_path):
    folder = tmp_path / "deep" / "toy"
    assert ensure(folder) == str(folder)
    dataset = dataset_of(folder)
    assert {key: dataset[key] for key in DESCRIPTION} == DESCRIPTION
    assert [len(dataset[s]) for s in ("training", "validation", "test")] == [2, 1, 1]
    assert sorted(p.name for p in folder.iterdir()) == [
        "dataset.json",
        "imagesTr",
        "imagesTs",
        "labelsTr",
        "labelsTs",
    ]
    assert all((folder / dataset["test"][0][key]).parent.name == f"{key}sTs" for key in ("image", "label"))
    assert len(list((folder / "imagesTr").iterdir())) == 3
    assert [p.name for p in folder.parent.iterdir()] == ["toy"]


def test_reused_when_parameters_are_equal(tmp_path):
    folder = tmp_path / "toy"
    ensure(folder)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}

    def must_not_run(*_):
        raise AssertionError("made again")

    ensure(folder, write_case=must_not_run)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


@pytest.mark.parametrize("change", [{"seed": 1}, {"training": 3}, {"test": 0}])
def test_rebuilt_when_a_parameter_differs(tmp_path, change):
    folder = tmp_path / "toy"
    ensure(folder)
    before = folder.stat().st_ino
    ensure(folder, **change)
    assert folder.stat().st_ino != before
    assert len(dataset_of(folder)["training"]) == change.get("training", 2)
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_rebuilt_when_a_file_is_missing(tmp_path):
    folder = tmp_path / "toy"
    ensure(folder)
    lost = folder / dataset_of(folder)["training"][1]["label"]
    text = lost.read_text()
    lost.unlink()
    ensure(folder)
    assert lost.read_text() == text


def write_pair(root, subset, case, rng):
    entry = write_numbers(root, subset, case, rng)
    second, gtv = f"images{subset}/{case}_1.txt", f"labels{subset}/{case}_gtv.txt"
    for file in (second, gtv):
        (root / file).write_text(file)
    return {**entry, "image": [entry["image"], second], "gtv": gtv}


@pytest.mark.parametrize("lost", ["imagesTr/toy_training_000_1.txt", "labelsTr/toy_training_000_gtv.txt"])
def test_all_channels_and_the_second_label_belong_to_the_phantom(tmp_path, lost):
    folder = tmp_path / "toy"
    ensure(folder, write_case=write_pair)
    (folder / lost).unlink()
    ensure(folder, write_case=write_pair)
    assert (folder / lost).is_file()
    ensure(folder, write_case=write_pair, seed=1)  # replaced: none of its files is a stranger


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("had_one", [False, True])
def test_interrupted_build_leaves_the_old_phantom(tmp_path, error, had_one):
    folder = tmp_path / "toy"
    if had_one:
        ensure(folder)
    made = []

    def stop_at_third(*args):
        made.append(write_numbers(*args))
        if len(made) == 3:
            raise error

    with pytest.raises(error):
        ensure(folder, seed=5, write_case=stop_at_third)
    assert [p.name for p in tmp_path.iterdir()] == (["toy"] if had_one else [])
    if had_one:
        assert dataset_of(folder)["phantom"]["seed"] == 0


def test_leftovers_of_a_killed_build_are_removed(tmp_path):
    """At once if their process is known to be dead; another machine's after a day."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    ours = store._beside(tmp_path / "toy").name
    names = {
        "dead": ours.replace(f".{os.getpid()}_", f".{dead.pid}_"),
        "running": ours.replace(f".{os.getpid()}_", f".{os.getppid()}_"),
        "elsewhere": f".toy.{dead.pid}_0badcafe_1.partial",
        "old": ".toy.old.partial",
        "other": ours.replace("toy", "toys").replace(f".{os.getpid()}_", f".{dead.pid}_"),
    }
    for name in names.values():
        (tmp_path / name).mkdir()
    two_days_ago = time.time() - 2 * 86400
    os.utime(tmp_path / names["old"], (two_days_ago, two_days_ago))
    ensure(tmp_path / "toy")
    kept = {key for key, name in names.items() if (tmp_path / name).exists()}
    assert kept == {"running", "elsewhere", "other"}


def _foreign_file(folder):
    (folder / "thesis.txt").write_text("years of work")


def _foreign_dataset(folder):
    (folder / "dataset.json").write_text(json.dumps({"training": []}))


def _broken_dataset(folder):
    (folder / "dataset.json").write_text("{")


def _hidden_file(folder):
    (folder / ".env").write_text("mine")


@pytest.mark.parametrize("fill", [_foreign_file, _hidden_file, _foreign_dataset, _broken_dataset])
def test_foreign_folder_is_refused(tmp_path, fill):
    fill(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(InputError, match="not a phantom made here") as error:
        ensure(tmp_path)
    assert "\n" not in str(error.value)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_other_phantom_and_added_files_are_refused(tmp_path):
    folder = tmp_path / "toy"
    ensure(folder)
    with pytest.raises(InputError, match="holds the phantom 'toy', not 'other'"):
        ensure(folder, name="other")
    (folder / "notes.txt").write_text("mine")
    ensure(folder)  # reuse removes nothing
    with pytest.raises(InputError, match=r"notes\.txt"):
        ensure(folder, seed=1)
    assert (folder / "notes.txt").read_text() == "mine"


def test_empty_folder_is_filled(tmp_path):
    ensure(tmp_path)
    assert (tmp_path / "dataset.json").is_file()


def test_folder_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="a file lies where"):
        ensure(file)
    with pytest.raises(InputError, match="cannot make the phantom there"):
        ensure(file / "toy")


@pytest.mark.parametrize("count", [-1, 1.5, True, "3"])
def test_bad_count(tmp_path, count):
    with pytest.raises(InputError, match="training="):
        ensure(tmp_path / "toy", training=count)
    assert not (tmp_path / "toy").exists()


def _ensure_at(folder, barrier, seed):
    barrier.wait(timeout=30)
    for round_number in range(10):
        ensure(folder, seed=seed + round_number % 2)


def test_concurrent_processes(tmp_path):
    """Three processes compete for one folder, even with different parameters: it ends complete."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    workers = [context.Process(target=_ensure_at, args=(tmp_path / "toy", barrier, s)) for s in (0, 0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]
    dataset = dataset_of(tmp_path / "toy")
    rng = case_generator(dataset["phantom"]["seed"], "training", 1)
    assert (tmp_path / "toy" / dataset["training"][1]["image"]).read_text() == str(rng.integers(1 << 30))


def test_cases_draw_different_numbers():
    draws = {case_generator(*key).integers(1 << 60) for key in [(0, "training", 0), (0, "training", 1),
             (0, "validation", 0), (1, "training", 0), (0, "test", 0)]}  # fmt: skip
    assert len(draws) == 5
    assert np.array_equal(case_generator(3, "test", 2).random(4), case_generator(3, "test", 2).random(4))
