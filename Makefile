# Two commands: `make train` (first run, from nothing to a picture) and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
BUNDLE ?= cotr
RUN := $(BIN)/python -m monai.bundle run --config_file bundles/$(BUNDLE)/configs

.PHONY: train test test-all configs fix bench gpu catalogue verify label test-label test-browser test-faults

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

# All tests, before a release; a whole run that passes becomes what `make test` counts changes from.
# With BUNDLE=name all tests of that bundle and no others; nothing is recorded then.
ALL := $(if $(filter command environment,$(origin BUNDLE)),--bundle $(BUNDLE),--record)

test-all: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist worksteal --full all $(ALL)

configs: .venv/run   # what is written from recipes: configs, bundle_index.json, README's table of bundles
	$(BIN)/python -m common.recipes

fix: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/test
	$(BIN)/python -m benchmarks

gpu: .venv/test   # on a machine with one: the kernels' tests, then every figure, in gpu.json
	$(BIN)/python -c "import sys, torch; sys.exit(None if torch.cuda.is_available() else 'torch sees no GPU here')"
	$(BIN)/python -m pytest tests/common/kernels
	$(BIN)/python -m benchmarks --device cuda --save gpu.json

verify: .venv/test   # what the model zoo checks, and ONNX, on every bundle, packed and unpacked
	$(BIN)/python -m common.registry verify-bundle --all

URL ?= file://$(CURDIR)/dist

catalogue: .venv/run   # zips, index and a page to browse, in dist/
	$(BIN)/python -m common.registry pack --all --target dist
	$(BIN)/python -m common.registry index dist --base-url "$(URL)"

# MONAI Label in an environment of its own; these two come without their dependencies, see requirements-label.txt.
LABEL_BIN := .venv-label/bin
LABEL := monailabel==0.8.5 pydicom-seg==0.4.1
PORT ?= 8000
MODELS ?=
STUDIES ?=

.venv-label/run: requirements-label.txt Makefile
	$(PYTHON) -m venv .venv-label
	$(LABEL_BIN)/python -m pip install --progress-bar off -r requirements-label.txt
	$(LABEL_BIN)/python -m pip install --progress-bar off --no-deps $(LABEL)
	touch $@

label: .venv-label/run   # for 3D Slicer: MODELS=cotr STUDIES=FOLDER PORT=8000
	$(LABEL_BIN)/python -m tools.label --studies "$(STUDIES)" --models "$(MODELS)" --port $(PORT)

test-label: .venv-label/run
	$(LABEL_BIN)/python -m pytest tests/tools/label --full all

# Training, inference, phantoms, pack, index and get, killed at random moments, FAULTS_ROUNDS=20 times
# each; minutes.
test-faults: .venv/test
	$(BIN)/python -m pytest -n 0 -s tests/faults/kills.py

test-browser: .venv/test   # installs Debian's chromium where there is none
	@{ command -v chromium && command -v chromedriver; } >/dev/null || { \
	  [ "$$(id -u)" = 0 ] || { echo "error: no chromium here; sudo apt-get install chromium chromium-driver" >&2; exit 1; }; \
	  apt-get update -q && apt-get install -y -q --no-install-recommends chromium chromium-driver; }
	$(BIN)/python -m pytest tests/common/registry/test_catalogue.py
