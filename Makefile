# Two commands after a clone: make search, make test. Each makes .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help search test quick exhaustive simulation coverage lint clean
TESTS := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

search: .venv/installed  ## Search on the embedded digits: 24 trials, ends in a Pareto front under runs/
	@$(BIN)/leni-search run

test: .venv/installed  ## Lint, then the whole test suite
	@$(BIN)/python -m tests.compile_kernels & $(MAKE) --no-print-directory lint && wait && $(TESTS) --durations 25

quick: .venv/installed  ## The tests that need neither Ray, nor a browser, nor a server: for daily work
	@$(TESTS) -m 'not heavy and not exhaustive and not simulation'

exhaustive: .venv/installed  ## Every case of what the other tests sample
	@$(TESTS) -m exhaustive

simulation: .venv/installed  ## Intervals and verdicts against simulated truths
	@$(TESTS) -m simulation

coverage: .venv/installed  ## The whole suite with its coverage, of other processes too
	@$(TESTS) --cov --cov-report term

lint: .venv/installed  ## ruff, the type checker and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

clean:  ## Remove what was installed and built, keep runs/
	rm -rf .venv build dist *.egg-info

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else f"Python 3.11 to 3.13 is needed, this is {sys.version.split()[0]}; try make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,service]'
	@touch $@
