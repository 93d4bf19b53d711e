PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
BENCH_STAMP := $(VENV)/.bench-stamp
BENCHMARKS := $(filter-out _% report,$(sort $(basename $(notdir $(wildcard benchmarks/*.py)))))
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help venv demo test mutants validate lint types docs bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
		echo "jaxsim needs Python 3.11, 3.12 or 3.13 and '$(PYTHON)' is not one." \
		     "Name one that is, for example: make test PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing jaxsim and its tools into $(VENV) (a few minutes the first time) ..."
	@$(PIP_INSTALL) -e '.[dev,docs]'
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@$(PIP_INSTALL) -e '.[bench]'
	@touch $@

venv: $(STAMP)  ## create .venv with everything that development needs

demo: $(STAMP)  ## recover the forcing of a turbulent flow by gradients through the solver
	$(BIN)/python examples/kolmogorov_inverse.py

test: $(STAMP)  ## fast tests
	$(BIN)/python -m pytest -n 2 -q

mutants: $(STAMP)  ## what small mistakes in FILE=jaxsim/... survive its tests (or TESTS=...)
	@test -n "$(FILE)" || { echo "Say which file: make mutants FILE=jaxsim/norms.py [TESTS=... LINES=40-90 LIMIT=60 AT_MOST=50]" >&2; exit 1; }
	@$(BIN)/python tests/mutants.py $(FILE) --tests='$(TESTS)' --lines='$(LINES)' $(if $(LIMIT),--limit=$(LIMIT)) $(if $(AT_MOST),--at-most=$(AT_MOST))

validate: $(STAMP)  ## slow physics validation
	$(BIN)/python -m pytest -n 2 -q -m slow

lint: $(STAMP)  ## ruff
	$(BIN)/python -m ruff check .

types: $(STAMP)  ## pyright
	$(BIN)/python -m pyright

docs: $(STAMP)  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

bench: $(BENCH_STAMP)  ## side by side with peers; each script ends with one JSON line
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m "benchmarks.$$name"; done

clean:  ## remove caches and the built site; .venv stays
	rm -rf site dist .cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
