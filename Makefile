PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-all chaos soak bench bench-quick lint audit lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "make: $(PYTHON) is missing or older than 3.11: install Python 3.11, or type make PYTHON=/path/to/python" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup  ## the whole pipeline on this machine: 10,000 CDRs from generation to invoices
	$(BIN)/telecom demo

test: setup  ## every test but the slow ones
	$(BIN)/python -m pytest -m "not slow"

test-all: setup
	$(BIN)/python -m pytest

chaos: setup  ## kill everything at every stage and compare with a calm run; about half an hour
	PYTHONPATH=tests/python $(BIN)/python -m chaos

soak: setup  ## the live pipeline for an hour, with memory, handles and files watched; writes docs/soak.md
	PYTHONPATH=tests/python $(BIN)/python -m soak

bench: setup  ## measure every stage beside its floor into benchmarks/results.md; hours: make bench BENCH="--stage models --sizes 1000000"
	$(BIN)/python -m benchmarks $(BENCH)

bench-quick: setup  ## one round of 100,000 records; prints the tables and keeps nothing; under 5 minutes
	$(BIN)/python -m benchmarks --quick

lint: setup  ## ruff, mypy, sqlfluff, dbt-bouncer; no server is asked
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --quiet models tests/data tests/fixtures dbt_project
	$(BIN)/dbt --quiet --warn-error parse --target-path target
	$(BIN)/dbt-bouncer run --output-only-failures

audit: setup  ## known vulnerabilities of the pinned packages; says so where PyPI's advisories cannot be reached
	$(BIN)/python .ci/audit.py

lock: setup  ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --no-strip-extras --allow-unsafe --generate-hashes --extra dev --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) target logs .pytest_cache .mypy_cache .ruff_cache .hypothesis
