# Two commands: `make train` (first run, from nothing to a picture) and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
BUNDLE ?= cotr
RUN := $(BIN)/python -m monai.bundle run --config_file bundles/$(BUNDLE)/configs

.PHONY: train test fix bench gpu catalogue

.venv/run: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --progress-bar off -r requirements.txt
	touch $@

.venv/test: .venv/run requirements-test.txt
	$(BIN)/python -m pip install --progress-bar off -r requirements-test.txt
	touch $@

train: .venv/run
	$(RUN)/train.json
	$(RUN)/inference.json
	@echo "Look at bundles/$(BUNDLE)/eval: preview.png, curves.png, metrics.csv, preview_inference.png"

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist worksteal

fix: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/test
	$(BIN)/python -m benchmarks

gpu: .venv/test   # on a machine with one: the kernels' tests, then every figure, in gpu.json
	$(BIN)/python -c "import sys, torch; sys.exit(None if torch.cuda.is_available() else 'torch sees no GPU here')"
	$(BIN)/python -m pytest tests/common/kernels
	$(BIN)/python -m benchmarks --device cuda --save gpu.json

URL ?= file://$(CURDIR)/dist

catalogue: .venv/run   # zips, index and a page to browse, in dist/
	$(BIN)/python -m common.registry pack --all --target dist
	$(BIN)/python -m common.registry index dist --base-url "$(URL)"
