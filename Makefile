# One command each: quickstart, test, check, bench, docs. All work in .venv, made from pyproject.toml.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: quickstart test test-fast check bench certificate peers docs clean

quickstart: $(VENV)/.installed
	$(BIN)/denizen quickstart

test: $(VENV)/.dev
	$(BIN)/python -m pytest

test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow"

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

# The certificate that is carried with the package: made anew whenever protocols/ changes.
certificate: $(VENV)/.dev
	$(BIN)/denizen protocols certify --cases 30000 --workspace build/certificate
	mkdir -p src/denizen/evm/assets
	cp build/certificate/certificate.json src/denizen/evm/assets/certificate.json

# What `denizen train --emit` writes, checked by the tools themselves.  AXOLOTL and LLAMAFACTORY are
# their virtual environments (axolotl 0.19.0, llamafactory 0.9.5), UNSLOTH its wheel.  Writes the
# extract of their schemas that the ordinary tests check against.
PEERS := build/peers
peers: $(VENV)/.dev
	rm -rf $(PEERS)
	$(BIN)/python -m tests.peers.cases $(PEERS)
	$(AXOLOTL)/bin/python tests/peers/validate_axolotl.py $(PEERS) tests/train/peers.json
	$(LLAMAFACTORY)/bin/python tests/peers/validate_llamafactory.py $(PEERS) tests/train/peers.json
	$(BIN)/python tests/peers/read_unsloth.py $(UNSLOTH) tests/train/peers.json

docs: $(VENV)/.dev
	$(BIN)/python -m denizen.cli._render docs

clean:
	rm -rf $(VENV) .denizen build dist

# `venv` is run with every (re)install: it mends an environment that was interrupted half-made.
$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no python3 found (set PYTHON=...)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed (set PYTHON=...)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@
