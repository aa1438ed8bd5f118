from __future__ import annotations

from common.new.borrowed import borrowed_modules, renamed


def test_package_is_renamed_but_its_method_page_is_not():
    kept = "toy" + "/docs/method.md" + "#warp, toys and toy_net"
    text = renamed(f"from toy.pairs import warp  # {kept}", "toy", "new")
    assert text == f"from new.pairs import warp  # {kept}"


def test_named_modules_and_their_imports_are_borrowed(tmp_path):
    """Not the network, nor anything that neither the recipe nor a borrowed module names."""
    package = tmp_path / "toy"
    package.mkdir()
    sources = {
        "network": "from toy.regions import split\n",
        "regions": "",
        "data": "from toy.files import read\nfrom common.errors import InputError\n",
        "files": "",
        "losses": "",
    }
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source)
    recipe = '{"a": "new.network.New", "b": "$new.data.read(1)", "c": "new.nonesuch"}'
    found = borrowed_modules(package, recipe, "new")
    assert list(found) == ["data.py", "files.py"]
    assert "from new.files import read" in found["data.py"]
    assert all("to fill: toy has the same module" in text for text in found.values())
