"""Publish bundles in a folder for any static host, and fetch them from there: pack, index, verify, get.

    python -m common.registry pack --all --target dist
    python -m common.registry index dist --base-url https://example.org/zoo
    python -m common.registry get cotr --index https://example.org/zoo/bundle_index.json --bundle_dir .

Nothing here imports torch or MONAI, except ``zoo_steps.py``, which runs in processes of its own.  Packed
bundles do not contain this package.
"""
