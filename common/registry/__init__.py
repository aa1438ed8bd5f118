"""From a checkout to a folder that any static host serves, and back: pack, index, verify, get.

    python -m common.registry pack --all --target dist
    python -m common.registry index dist --base-url https://example.org/zoo
    python -m common.registry get cotr --index https://example.org/zoo/bundle_index.json --bundle_dir .

Nothing here imports torch or MONAI, and nothing of it travels inside a packed bundle.
"""
