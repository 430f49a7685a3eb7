# Set-up is two commands: `make quickstart` and `make test`. Both make the virtual environment when it is missing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
# A worker for each core: make test PARALLEL="-n auto --dist worksteal". Neighbours then mostly stay together, so that
# what a module's tests share is made once.
PARALLEL ?=

.PHONY: quickstart test test-fast check lint types imports format docs clean

quickstart: $(VENV)/.installed
	$(BIN)/evalharness fetch-model smollm2-135m movie-sentiment-minilm
	$(BIN)/evalharness fetch-data movie-sentiment django-en-de disfl-qa kjv
	$(BIN)/evalharness run suites/quickstart.yaml

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(PARALLEL)

test-fast: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

check: lint types imports test

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

imports: $(VENV)/.installed-dev
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed
	$(BIN)/python -m evalharness.suite.reference > docs/suite-reference.md
	$(BIN)/python -m evalharness.metrics.reference > docs/metrics.md

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "evalharness needs Python 3.11 or newer, and $(PYTHON) is older; name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing evalharness into $(VENV); PyTorch makes this take a few minutes."
	$(PIP) install -c constraints.txt -e '.[hf,monitor,report]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing evalharness and its test tools into $(VENV); PyTorch makes this take a few minutes."
	$(PIP) install -c constraints.txt -e '.[hf,dev]'
	@touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
