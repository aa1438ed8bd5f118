"""metadata.json: MONAI's schema, the versions, the classes."""

from __future__ import annotations

import copy
import json
import re

import jsonschema
import pytest

from tests.contract.bundle import NAMES, ROOT, Bundle
from tests.contract.kinds import kind_of

SCHEMA_FILE = ROOT / "common" / "registry" / "meta_schema_20240725.json"
SCHEMA = json.loads(SCHEMA_FILE.read_text())


#: Any bundle will do for testing MONAI's command and the schema themselves.
ANY = Bundle(NAMES[0])


def verify(shell, meta_file):
    words = ("--meta_file", meta_file, "--filepath", SCHEMA_FILE)
    return shell.python("-m", "monai.bundle", "verify_metadata", *words)


def test_monai_accepts_metadata(shell):
    verify(shell, ANY.config_file("metadata")).ok()


def test_monai_refuses_broken_metadata(shell, tmp_path):
    """The test above would be worthless if the schema were not read."""
    broken = {key: value for key, value in ANY.metadata.items() if key != "task"}
    (tmp_path / "metadata.json").write_text(json.dumps(broken))
    told = verify(shell, tmp_path / "metadata.json")
    assert told.code != 0
    assert "'task' is a required property" in told.err


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_every_required_key_is_required(key):
    jsonschema.validate(ANY.metadata, SCHEMA)
    broken = {k: v for k, v in ANY.metadata.items() if k != key}
    with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required property"):
        jsonschema.validate(broken, SCHEMA)


@pytest.mark.parametrize("key", SCHEMA["$defs"]["tensor"]["required"])
def test_every_key_of_a_tensor_is_required(key):
    broken = copy.deepcopy(ANY.metadata)
    del broken["network_data_format"]["inputs"]["image"][key]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)


def test_unknown_kind(monkeypatch):
    """One line says where the kind is given, and what a new one needs."""
    guess = Bundle(ANY.name)
    monkeypatch.setitem(guess.metadata, "kind", "divination")
    with pytest.raises(LookupError, match=r"metadata\.json: \"kind\" is 'divination'; expected one of .*"):
        kind_of(guess)


@pytest.mark.always
def test_fits_the_schema(bundle):
    """What ``verify_metadata`` checks, without a separate process."""
    jsonschema.validate(bundle.config("metadata"), SCHEMA)


@pytest.mark.always
def test_says_what_kind_of_bundle_it_is(bundle):
    assert kind_of(bundle)


@pytest.mark.always
def test_version_is_in_the_changelog(bundle):
    version = bundle.metadata["version"]
    assert re.fullmatch(r"\d\.\d\.\d", version), "MONAI sorts versions as text: one digit a field"
    assert bundle.metadata["changelog"][version]


@pytest.mark.always
def test_every_channel_has_a_name(bundle):
    """The output's channels name the label map's values (nested channels: all but the background), from which
    MONAI Label takes its labels."""
    for tensor, number in (
        (bundle.input_format, bundle.input_format["num_channels"]),
        (bundle.output_format, bundle.classes),
    ):
        assert set(tensor["channel_def"]) == {str(i) for i in range(number)}
        assert len(set(tensor["channel_def"].values())) == number
    kind_of(bundle).check_channels(bundle)


@pytest.mark.always
def test_says_what_it_is_for(bundle):
    for key in ("name", "intended_use", "data_source", "references"):
        assert bundle.metadata[key], key


@pytest.mark.always
def test_versions_match_the_requirements(bundle):
    """metadata.json promises the versions that are tested."""
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.M))
    promised = {"monai": "monai_version", "torch": "pytorch_version", "numpy": "numpy_version"}
    for package, key in promised.items():
        assert bundle.metadata[key] == pins[package]
    for package, version in bundle.metadata["required_packages_version"].items():
        assert version == pins[package]
