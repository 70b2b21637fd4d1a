# One way to do each thing; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= results
# Which tests: those that take seconds and need no server; `make test MARKS=slow` runs the slow ones.
MARKS ?= not (slurm or postgres or browser or slow or longest)

# How many tests at once; 0: one after the other, as those on one Slurm must.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo reproduce-mini test chaos lint site bench notebooks clean

help: ## list the targets
	@awk -F ":.*## " '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "error: $(PYTHON) is older than Python 3.11; say make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e ".[test]"
	@touch $@ $(VENV)/installed

$(VENV)/installed-lint: pyproject.toml $(VENV)/installed-test
	$(BIN)/python -m pip install -e ".[test,lint]"
	@touch $@

install: $(VENV)/installed ## make .venv and put vitok-sweep into .venv/bin

# Exit 3 of launch means that nothing is left to do: that is success here.
demo: install ## train the quickstart (15 tokenizers on real photos) and draw its figures
	@$(BIN)/vitok-sweep launch sweeps/quickstart.yaml --results $(RESULTS) --scheduler local --watch --yes || [ $$? -eq 3 ]
	@$(BIN)/vitok-sweep report --sweep quickstart --figure e_vs_metrics --results $(RESULTS)

$(VENV)/installed-videos: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e ".[videos]"
	@touch $@ $(VENV)/installed

reproduce-mini: $(VENV)/installed-videos ## the paper's experiments at laptop scale, with their report
	@$(BIN)/vitok-sweep reproduce --mini --results $(RESULTS)/mini --scheduler local

test: $(VENV)/installed-test ## run the tests (a few minutes)
	@$(BIN)/python -m pytest -m "$(MARKS)" -n $(WORKERS)

chaos: $(VENV)/installed-test ## the longest tests: hundreds of jobs on a Slurm under faults
	@test -n "$$VITOK_TEST_SLURM" || \
	  { echo 'error: no Slurm to test on; say eval "$$(tests/servers/slurm.sh up)"'; exit 2; }
	@$(BIN)/python -m pytest -m longest

lint: $(VENV)/installed-lint ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e ".[docs]"
	@touch $@

# Never with --quiet, which lets warnings pass. NO_MKDOCS_2_WARNING: the theme's end of life (pyproject.toml
# tells of it) need not be announced at every build.
site: $(VENV)/installed-docs ## the documentation as a site, build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

$(VENV)/installed-bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e ".[bench]"
	@touch $@

bench: $(VENV)/installed-bench ## speed beside the peers; writes benchmarks/results.md
	$(BIN)/python benchmarks/run.py

notebooks: $(VENV)/installed-test ## run the notebooks over RESULTS and store what they show
	VITOK_RESULTS=$(if $(filter /%,$(RESULTS)),,../)$(RESULTS) $(BIN)/python tests/analysis/notebook_forms.py

clean: ## remove the environment and caches (never results)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
