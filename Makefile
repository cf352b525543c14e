# Two commands for a fresh machine: `make demo` trains the default recipe, `make test` runs the tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fuzz faults docs install lint clean

demo: install
	$(BIN)/gangen recipes/text_gan.yaml

test: .venv/test
	$(BIN)/python -m pytest -q

# What strangers may write, a thousand times each.
fuzz: .venv/test
	GANGEN_FUZZ=1000 $(BIN)/python -m pytest -q tests/fuzz

# Runs that are killed at random instants, thirty of one process and ten of two.
faults: .venv/test
	GANGEN_INSTANTS=30 $(BIN)/python -m pytest -q tests/faults

# The documentation as a site, in site/, with pictures of recipes that were played here, as by `gangen ring8`.
docs: .venv/docs
	$(BIN)/mkdocs build

install: .venv/demo

lint: .venv/test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[demo]"
	@touch $@

.venv/test: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[demo,test]"
	@touch $@

.venv/docs: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[docs]"
	@touch $@

clean:
	rm -rf .venv build dist site
